import { cp } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { eventually, manageModels } from './test-support/managed-models.ts'

const { around, announced, start, write, states } = manageModels()

test('a consumer that would run another variant than the fleet follows it, at the start and later', async () => {
  await write('a', '1')
  // The same graph: it is the choice that is looked at.
  await cp(
    join(around.repository, 'a', '1', 'onnx', 'model.onnx'),
    join(around.repository, 'a', '1', 'onnx', 'model_int8.onnx'),
  )
  await cp(
    join(around.repository, 'a', '1', 'onnx', 'model.onnx'),
    join(around.repository, 'a', '1', 'onnx', 'model_fp16.onnx'),
  )
  around.decided = { graph: 'fp16', reason: 'the provider is no CPU', at: 1 }
  start()
  await expect.poll(states, eventually).toEqual({ 'a@1': 'ready *' })
  expect(announced()[0]?.manifest).toMatchObject({ variant: 'fp16', choice: { ...around.decided, basis: 'fleet' } })
  expect(around.opened).toHaveLength(2)
  // Redis had lost it, and another consumer was first.
  around.decided = { graph: 'fp32', reason: 'the CPU has no instructions for int8', at: 2 }
  await expect.poll(() => announced()[0]?.manifest?.variant, eventually).toBe('fp32')
  expect(states()).toEqual({ 'a@1': 'ready *' })
  await expect.poll(() => around.manager?.describe().engines, eventually).toBe(1)
})

test('a consumer that can not follow the fleet says so and does not serve', async () => {
  await write('a', '1')
  around.decided = { graph: 'fp16', reason: 'the provider is no CPU', at: 1_750_000_000_000 }
  start()
  await expect.poll(states, eventually).toEqual({ 'a@1': 'failed' })
  expect(announced()[0]?.error).toBe(
    'The fleet runs the fp16 variant of these files since 2025-06-15T15:06:40.000Z (the provider is no CPU), ' +
      "which this consumer can't: There is no fp16 variant; there are: fp32.",
  )
  expect(around.queues).toEqual(new Set())
})

test('one that serves, and can not follow what the fleet has decided since, stops serving', async () => {
  await write('a', '1')
  start()
  await expect.poll(states, eventually).toEqual({ 'a@1': 'ready *' })
  around.decided = { graph: 'int8', reason: 'the CPU has avx512_vnni', at: 1 }
  await expect.poll(states, eventually).toEqual({ 'a@1': 'failed' })
  expect(around.queues).toEqual(new Set())
})
