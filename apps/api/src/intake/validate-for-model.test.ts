import { VisionQueueError } from '@vision-queue/protocol'
import { describe, expect, test } from 'vitest'

import type { ReceivedSubmission } from '../doors/native/parsed-submission.ts'
import { png } from '../test-support/images.ts'
import { servedModel } from '../test-support/served-models.ts'
import { createModelValidator } from './validate-for-model.ts'

const { manifest } = servedModel()
const submission: ReceivedSubmission = {
  model: null,
  input: { question: 'What colour?' },
  inputFrom: 'json',
  unreadQuery: [],
  image: { kind: 'bytes', bytes: png },
  parameters: {},
  metadata: null,
  deadlineMs: null,
  cache: true,
  priority: 'normal' as const,
}

function fieldsOf(changes: Partial<ReceivedSubmission>): VisionQueueError['fields'] {
  try {
    createModelValidator()(manifest, { ...submission, ...changes })
  } catch (error) {
    if (error instanceof VisionQueueError && error.code === 'invalid_input') return error.fields
    throw error
  }
  return []
}

test('what fits passes as it was sent, without the defaults of this version', () => {
  expect(createModelValidator()(manifest, submission)).toEqual({ input: submission.input, parameters: {} })
})

describe('every misfit is named with what the model expects', () => {
  test.each<[Partial<ReceivedSubmission>, string, string]>([
    [{ input: {} }, 'input.question', 'a string (missing)'],
    [{ input: { question: 3 } }, 'input.question', 'a string'],
    [{ input: { question: '' } }, 'input.question', 'at least 1 character'],
    [{ input: { question: 'x'.repeat(101) } }, 'input.question', 'at most 100 characters'],
    [{ input: { question: '?', colour: 'red' } }, 'input.colour', 'no field of this name'],
    [{ input: { question: '?', candidate_labels: [] } }, 'input.candidate_labels', 'at least 1 item'],
    [{ input: { question: '?', candidate_labels: ['a', 1] } }, 'input.candidate_labels.1', 'a string'],
    [{ input: { question: '?', page: 1.5 } }, 'input.page', 'a whole number'],
    [{ parameters: { top_k: 6 } }, 'parameters.top_k', 'a number of at most 5'],
    [{ parameters: { top_k: '3' } }, 'parameters.top_k', 'a number'],
    [{ parameters: { beams: 3 } }, 'parameters.beams', 'no field of this name'],
  ])('%o', (changes, field, expected) => {
    expect(fieldsOf(changes)).toEqual([{ field, expected }])
  })

  test('all of them at once', () => {
    expect(fieldsOf({ input: {}, parameters: { top_k: 0 } }).map(({ field }) => field)).toEqual([
      'input.question',
      'parameters.top_k',
    ])
  })
})

describe('text from forms and queries gets the types of the schema', () => {
  test.each([
    [
      { question: '7', page: '7' },
      { question: '7', page: 7 },
    ],
    [
      { question: '?', candidate_labels: 'cat' },
      { question: '?', candidate_labels: ['cat'] },
    ],
    [
      { question: '?', candidate_labels: ['cat', 'dog'] },
      { question: '?', candidate_labels: ['cat', 'dog'] },
    ],
    [
      { question: '?', candidate_labels: '["cat","dog"]' },
      { question: '?', candidate_labels: ['cat', 'dog'] },
    ],
  ])('%o', (input, typed) => {
    expect(createModelValidator()(manifest, { ...submission, input, inputFrom: 'form' }).input).toEqual(typed)
  })

  test('what is no number is named, not read as 0', () => {
    expect(fieldsOf({ input: { question: '?', page: '' }, inputFrom: 'form' })).toMatchObject([{ field: 'input.page' }])
    expect(fieldsOf({ input: { question: '?', page: 'x' }, inputFrom: 'form' })).toMatchObject([
      { field: 'input.page' },
    ])
  })
})
