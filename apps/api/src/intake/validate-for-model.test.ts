import { type ImageCount, VisionQueueError } from '@vision-queue/protocol'
import { describe, expect, test } from 'vitest'

import { png } from '../test-support/images.ts'
import { servedModel } from '../test-support/served-models.ts'
import type { Question } from './submission.ts'
import { createModelValidator } from './validate-for-model.ts'

const { manifest } = servedModel()
const submission: Question = {
  model: null,
  input: { question: 'What colour?' },
  inputForm: 'json',
  dropsUnknownInput: false,
  strayNames: [],
  images: [{ kind: 'bytes', bytes: png }],
  parameters: {},
  metadata: null,
  deadlineMs: null,
  cache: true,
  priority: 'normal' as const,
  retryOf: null,
}

function fieldsOf(changes: Partial<Question>): VisionQueueError['fields'] {
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
  test.each<[Partial<Question>, string, string]>([
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

describe('a number of images that the model does not take is named with what it takes', () => {
  const image = { kind: 'bytes', bytes: png } as const
  test.each<[ImageCount | undefined, number, string, string]>([
    [undefined, 0, 'input.image', '1 image (missing, or empty)'],
    [undefined, 2, 'input.image', '1 image (there are 2)'],
    [{ min: 2, max: 2 }, 1, 'input.images', '2 images (there is 1)'],
    [{ min: 2, max: 4 }, 5, 'input.images', '2 to 4 images (there are 5)'],
    [{ min: 0, max: 1 }, 2, 'input.image', 'at most 1 image (there are 2)'],
    [{ min: 0, max: 3 }, 4, 'input.images', 'at most 3 images (there are 4)'],
    [{ min: 0, max: 0 }, 1, 'input.image', 'no image (there is 1)'],
  ])('%o and %i', (images, found, field, expected) => {
    const taking = servedModel(images === undefined ? {} : { images }).manifest
    const question = { ...submission, images: Array.from({ length: found }, () => image) }
    expect(() => createModelValidator()(taking, question)).toThrow(
      expect.objectContaining({ code: 'invalid_input', fields: [{ field, expected }] }),
    )
  })

  test.each([
    [{ min: 2, max: 4 }, [2, 3, 4]],
    [{ min: 0, max: 0 }, [0]],
  ])('%o takes %j', (images, counts) => {
    const taking = servedModel({ images }).manifest
    for (const count of counts) {
      const question = { ...submission, images: Array.from({ length: count }, () => image) }
      expect(createModelValidator()(taking, question).input).toEqual(submission.input)
    }
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
    expect(createModelValidator()(manifest, { ...submission, input, inputForm: 'text' }).input).toEqual(typed)
  })

  test('what is no number is named, not read as 0', () => {
    expect(fieldsOf({ input: { question: '?', page: '' }, inputForm: 'text' })).toMatchObject([{ field: 'input.page' }])
    expect(fieldsOf({ input: { question: '?', page: 'x' }, inputForm: 'text' })).toMatchObject([
      { field: 'input.page' },
    ])
  })
})

test('a model whose schemas say nothing takes every input', () => {
  const open = servedModel({ inputSchema: {}, parametersSchema: {} }).manifest
  for (const dropsUnknownInput of [false, true]) {
    const question = { ...submission, dropsUnknownInput, strayNames: ['page'], parameters: { beams: 3 } }
    expect(createModelValidator()(open, question)).toEqual({ input: submission.input, parameters: { beams: 3 } })
  }
})
