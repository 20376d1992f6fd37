import { setTimeout as delay } from 'node:timers/promises'

import { expect, onTestFinished, test } from 'vitest'

import { createLoopDelay, type LoopDelay } from './loop-delay.ts'

function open(): LoopDelay {
  const loop = createLoopDelay()
  onTestFinished(loop.close)
  return loop
}

function block(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

test('a pause while there is work is told once, without the interval at which it is measured', async () => {
  const loop = open()
  loop.noteWork()
  await delay(50)
  block(300)
  await delay(50)
  const { max, min } = loop.read()
  expect(max).toBeGreaterThanOrEqual(280)
  expect(min).toBeLessThan(max)
  // The pause is told only once.
  expect(loop.read().max).toBeLessThan(max)
})

test('nothing is measured before there is work, nor when there has been none for a while', async () => {
  const loop = open()
  block(50)
  await delay(50)
  expect(loop.read()).toMatchObject({ max: 0, mean: 0, p99: 0 })
  loop.noteWork()
  await expect
    .poll(
      async () => {
        loop.read()
        await delay(100)
        return loop.read().max
      },
      { timeout: 30_000 },
    )
    .toBe(0)
})
