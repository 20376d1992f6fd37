import { expect, it } from 'vitest'

import { createDynamicBatcher } from '../batching/dynamic-batcher.ts'
import { isOutOfMemory } from './out-of-memory.ts'
import type { BatchOutcome } from '../batching/run-or-split.ts'
import { warmUp } from '../warm-up.ts'

interface Item {
  id: number
  deadlineAt: null
  canceled: boolean
}

const allocation = new Error(
  'Non-zero status code returned while running Conv node. Failed to allocate memory for requested buffer of size 1073741824',
)

/** A device on which `room` items fit; batches that tried more are refused as ONNX Runtime refuses them. */
function setUp(room: number, maxExtraRuns?: number) {
  const sizes: number[] = []
  const outcomes: BatchOutcome<Item, number>[] = []
  const batcher = createDynamicBatcher<Item, number>({
    maxBatchSize: 32,
    async run(items) {
      sizes.push(items.length)
      if (items.length > room) throw allocation
      return items.map(({ id }) => id)
    },
    isOutOfMemory,
    async onLaunch() {},
    onSettled(settled) {
      outcomes.push(...settled)
    },
    ...(maxExtraRuns === undefined ? {} : { maxExtraRuns }),
  })
  const run = async (count: number): Promise<void> => {
    const before = outcomes.length
    for (let id = 0; id < count; id += 1) batcher.add({ id: before + id, deadlineAt: null, canceled: false })
    while (outcomes.length < before + count) {
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
    }
  }
  return { batcher, sizes, outcomes, run }
}

it('a batch that is too large for the memory is run in halves, nothing is lost, and no later one is as large', async () => {
  const { batcher, sizes, outcomes, run } = setUp(5, 0)
  await run(32)
  expect(outcomes.map((outcome) => (outcome.kind === 'value' ? outcome.value : outcome.kind))).toEqual(
    Array.from({ length: 32 }, (_, id) => id),
  )
  expect(batcher.limit).toBe(4)
  sizes.length = 0
  await run(32)
  expect(Math.max(...sizes)).toBe(4)
  expect(outcomes).toHaveLength(64)
  expect(outcomes.every(({ kind }) => kind === 'value')).toBe(true)
})

it('a job that does not fit alone fails, and the others go on one by one', async () => {
  const { batcher, outcomes, run } = setUp(0)
  await run(3)
  expect(outcomes).toMatchObject(
    Array.from({ length: 3 }, () => ({ kind: 'error', error: { code: 'inference_failed' } })),
  )
  expect(batcher.limit).toBe(1)
})

it('a batch that is too large at warm-up is halved, not the end of the model', async () => {
  const sizes: number[] = []
  const warm = await warmUp(
    async (items) => {
      sizes.push(items.length)
      if (items.length > 5) throw allocation
      return items.map(() => ({}))
    },
    async () => ({ rows: {}, decode: () => ({}) }),
    { wantedBatchSize: 32, timedRuns: 1 },
  )
  expect(warm.maxBatchSize).toBe(4)
  expect(sizes).toEqual([1, 32, 16, 8, 4, 1, 4])
})

it.each([
  'std::bad_alloc',
  'CUDA error 2: out of memory',
  'CUDA failure 2: cudaErrorMemoryAllocation: out of memory',
  'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED',
  'BFCArena::AllocateRawInternal Available memory of 1048576 is smaller than requested bytes of 4194304',
  'Failed to create buffer: VK_ERROR_OUT_OF_DEVICE_MEMORY: out of memory',
])('knows the words for it (%s)', (message) => {
  expect(isOutOfMemory(new Error(message))).toBe(true)
})

it('takes no other failure for it', () => {
  expect(isOutOfMemory(new Error('Got invalid dimensions for input'))).toBe(false)
  expect(isOutOfMemory('out of memory')).toBe(false)
})
