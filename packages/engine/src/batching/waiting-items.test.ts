import { expect, test } from 'vitest'

import { createCostModel } from './batch-cost.ts'
import { createSizeCap } from './batch-size.ts'
import { dueAt, mostUrgent, nextStep, takeBatch, type Bucket } from './waiting-items.ts'

interface Item {
  name: string
  deadlineAt: number | null
  canceled: boolean
}

/** A bucket of items that came at these times and are due 1000 ms later; a launch costs 10 ms plus 1 ms an item. */
function bucketOf(...addedAt: number[]): Bucket<Item> {
  const seed = [1, 2, 4, 8].map((size) => ({ size, runMs: 10 + size }))
  const items = addedAt.map((at, index) => {
    return { item: { name: String(index), deadlineAt: null, canceled: false }, addedAt: at, dueAt: at + 1000 }
  })
  return { items, cost: createCostModel(seed), cap: createSizeCap(8), taken: 0 }
}

const free = { at: 100, size: 4, draining: false, preparing: 1, objectiveMs: 0 }

test.each([
  ['nothing waits any more', null, free, { kind: 'launch', reason: 'idle' }],
  ['the batch is full', bucketOf(99, 99, 99, 99), free, { kind: 'launch', reason: 'full' }],
  ['the engine is to be emptied', bucketOf(99), { ...free, draining: true }, { kind: 'launch', reason: 'drain' }],
  ['nobody is being prepared', bucketOf(99), { ...free, preparing: 0 }, { kind: 'launch', reason: 'idle' }],
  ['one has waited for a launch of one', bucketOf(88), free, { kind: 'launch', reason: 'delay' }],
  ['two have waited for a launch of two together', bucketOf(90, 93), free, { kind: 'launch', reason: 'delay' }],
  ['the first has waited for a launch of four', bucketOf(85, 99), free, { kind: 'launch', reason: 'delay' }],
  ['others are on their way', bucketOf(99), free, { kind: 'wait', ms: expect.closeTo(10, 1) }],
  ['the next one is awaited by two', bucketOf(95, 98), free, { kind: 'wait', ms: expect.closeTo(4, 1) }],
  ['a twentieth of the objective is less', bucketOf(99), { ...free, objectiveMs: 40 }, { kind: 'wait', ms: 1 }],
] as const)('the next step where %s', (_, bucket, now, expected) => {
  expect(nextStep(bucket, now)).toEqual(expected)
})

test('the shape whose first item is due soonest is the most urgent, and an empty one never is', () => {
  const [late, soon, none] = [bucketOf(50), bucketOf(40, 90), bucketOf()]
  expect(mostUrgent([late, soon, none])).toBe(soon)
  expect(mostUrgent([none])).toBeNull()
})

test('an item is due at its deadline, but no later than the objective or a second after it came', () => {
  const soon = { deadlineAt: Date.now() + 100, canceled: false }
  const never = { deadlineAt: null, canceled: false }
  expect(dueAt(soon, 5, 0)).toBeGreaterThan(5)
  expect(dueAt(soon, 5, 0)).toBeLessThanOrEqual(105)
  expect(dueAt({ ...soon, deadlineAt: Date.now() + 1e6 }, 5, 300)).toBe(305)
  expect(dueAt(never, 5, 300)).toBe(305)
  expect(dueAt(never, 5, 0)).toBe(1005)
})

test('what was canceled or is too late is dropped and leaves its place to the next', () => {
  const bucket = bucketOf(1, 2, 3, 4)
  const [canceled, late] = bucket.items
  Object.assign(canceled?.item ?? {}, { canceled: true })
  Object.assign(late?.item ?? {}, { deadlineAt: Date.now() - 1 })
  const { batch, dropped } = takeBatch<Item, never>(bucket, 2)
  expect(batch.map(({ name }) => name)).toEqual(['2', '3'])
  expect(dropped.map(({ kind, item }) => [kind, item.name])).toEqual([
    ['canceled', '0'],
    ['error', '1'],
  ])
  expect([bucket.items, bucket.taken]).toEqual([[], 2])
})
