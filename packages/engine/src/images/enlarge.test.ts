import { expect, it } from 'vitest'

import { enlarge } from './enlarge.ts'

const image = { bytes: new Uint8Array(300 * 200 * 3).fill(200), height: 200, width: 300 }

// What it computes is held against PIL in golden-pieces.test.ts.
it('gives others on the thread their turn while a large image is made', async () => {
  let turns = 0
  let isDone = false
  const take = (): void => {
    turns += 1
    if (!isDone) setImmediate(take)
  }
  setImmediate(take)
  const large = await enlarge(image, { height: 800, width: 1200 }, 'lanczos3')
  isDone = true
  expect(turns).toBeGreaterThanOrEqual(5)
  expect(large).toMatchObject({ height: 800, width: 1200 })
  // One colour stays one colour, at the edges too.
  expect(large.bytes.every((value) => value === 200)).toBe(true)
})

it('is not for edges that become smaller, nor for the nearest pixel', async () => {
  await expect(enlarge(image, { height: 400, width: 299 }, 'cubic')).rejects.toThrow('smaller')
  await expect(enlarge(image, { height: 400, width: 600 }, 'nearest')).rejects.toThrow('no filter')
})
