import { expect, test } from 'vitest'

import { servedModel } from '../test-support/served-models.ts'
import { queuePartsOf } from './queue-parts.ts'

const settings = { QUEUE_MAX_BYTES: 1000, MAX_IMAGE_BYTES: 100 }

test('as many parts as its consumers take from', () => {
  const model = { ...servedModel(), queueParts: 4 }
  expect(queuePartsOf(model, [model], settings)).toBe(4)
  expect(queuePartsOf({ ...model, queueParts: 1 }, [model], settings)).toBe(1)
})

test('so few that the share of each has room for the largest job of any version, and at least one', () => {
  const [one, three] = [servedModel(), servedModel({ version: '2', images: { min: 1, max: 3 } })]
  const model = { ...one, queueParts: 64 }
  expect(queuePartsOf(model, [one], settings)).toBe(10)
  expect(queuePartsOf(model, [one, three], settings)).toBe(3)
  expect(queuePartsOf(model, [one, { ...three, name: 'other' }], settings)).toBe(10)
  expect(queuePartsOf(model, [one], { ...settings, MAX_IMAGE_BYTES: 5000 })).toBe(1)
})
