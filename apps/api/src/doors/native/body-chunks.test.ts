import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { expect, test } from 'vitest'

import { gatherChunks } from './body-chunks.ts'

test.each([
  [[]],
  [[1]],
  [[100_000]],
  [[1, 1, 1]],
  [[1, 5000, 1, 4095, 4096, 4095, 70_000, 2]],
  [Array.from({ length: 200 }, (_, index) => (index * 997) % 4500)],
])('what came is what comes out, whatever the sizes', (sizes: number[]) => {
  const chunks = sizes.map((size, index) => Buffer.alloc(size, index + 1))
  const gathered = gatherChunks()
  for (const chunk of chunks) gathered.add(chunk)
  expect(gathered.whole().equals(Buffer.concat(chunks))).toBe(true)
})

test('one chunk is not copied', () => {
  const only = Buffer.alloc(100)
  const gathered = gatherChunks()
  gathered.add(only)
  expect(gathered.whole()).toBe(only)
})

test('a body of single bytes takes little more memory than its bytes', () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage: unknown = runInNewContext('gc')
  const used = (): number => {
    if (typeof collectGarbage === 'function') collectGarbage()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const gathered = gatherChunks()
  const before = used()
  for (let index = 0; index < 300_000; index += 1) gathered.add(Buffer.from('x'))
  expect(used() - before).toBeLessThan(3_000_000)
  expect(gathered.whole().length).toBe(300_000)
})
