import { expect, it } from 'vitest'

import { createBatchMemory } from './batch-memory.ts'

it('gives a batch the memory of the one before it, as large as it needs', async () => {
  const withMemory = createBatchMemory()
  const large = await withMemory(async (blank) => blank('float32', [4, 3]))
  const small = await withMemory(async (blank) => blank('float32', [2, 3]))
  expect(small).toMatchObject({ type: 'float32', dims: [2, 3] })
  expect(small.data).toHaveLength(6)
  expect(small.data.buffer).toBe(large.data.buffer)
  const larger = await withMemory(async (blank) => blank('float32', [5, 3]))
  expect(larger.data).toHaveLength(15)
  expect((await withMemory(async (blank) => blank('uint8', [5, 3]))).data).toBeInstanceOf(Uint8Array)
})

it('shares it with no run that goes on, nor with a second input', async () => {
  const withMemory = createBatchMemory()
  const buffers: unknown[] = []
  await withMemory(async (blank) => {
    buffers.push(blank('uint8', [1, 3]).data.buffer, blank('uint8', [1, 3]).data.buffer)
    // It has none of the kept memory, so its end gives none back.
    await withMemory(async (other) => buffers.push(other('uint8', [1, 3]).data.buffer))
    await withMemory(async (other) => buffers.push(other('uint8', [1, 3]).data.buffer))
  })
  expect(new Set(buffers).size).toBe(4)
  await expect(withMemory(async () => Promise.reject(new Error('the run failed')))).rejects.toThrow('the run failed')
  expect((await withMemory(async (blank) => blank('uint8', [1, 3]))).data.buffer).toBe(buffers[0])
})
