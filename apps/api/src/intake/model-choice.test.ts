import { VisionQueueError } from '@vision-queue/protocol'
import { describe, expect, test } from 'vitest'

import { chooseModel, groupByName } from './model-choice.ts'
import { servedModel } from '../test-support/served-models.ts'

function errorOf(work: () => unknown): VisionQueueError {
  try {
    work()
  } catch (error) {
    if (error instanceof VisionQueueError) return error
    throw error
  }
  throw new Error('it chose one')
}

describe('the serving version', () => {
  test.each([
    [
      'is the newest, by number',
      [
        ['9', 1],
        ['10', 1],
        ['2', 1],
      ],
      '10',
    ],
    [
      'is the newest with a consumer',
      [
        ['9', 1],
        ['10', 0],
      ],
      '9',
    ],
    [
      'is the newest where none has a consumer',
      [
        ['9', 0],
        ['10', 0],
      ],
      '10',
    ],
  ] as const)('%s', (_, versions, serving) => {
    const models = versions.map(([version, consumers]) => servedModel({ version }, consumers))
    expect(groupByName(models).map((group) => group.serving.version)).toEqual([serving])
  })
})

describe('a job names its model', () => {
  const models = [servedModel({ version: '1' }), servedModel({ version: '2' }), servedModel({ name: 'tiny-clip' })]
  test('by name: the serving version validates, none is pinned', () => {
    const { model, pinned } = chooseModel(models, 'shapes-vqa')
    expect([model.version, pinned]).toEqual(['2', false])
  })
  test('by name and version: that one is pinned', () => {
    const { model, pinned } = chooseModel(models, 'shapes-vqa@1')
    expect([model.version, pinned]).toEqual(['1', true])
  })
  test.each(['cat-vqa', 'shapes-vqa@3', 'SHAPES-VQA', 'constructor'])(
    '%s is unknown; the answer lists what is known',
    (name) => {
      const error = errorOf(() => chooseModel(models, name))
      expect(error.code).toBe('model_not_found')
      expect(error.detail).toContain('There are: shapes-vqa@2, shapes-vqa@1, tiny-clip@1.')
    },
  )
})

describe('an alias', () => {
  const models = [{ ...servedModel({ version: '1' }), aliases: ['stable', '2'] }, servedModel({ version: '2' })]
  test('pins the job to the version it stands for', () => {
    const { model, pinned } = chooseModel(models, 'shapes-vqa@stable')
    expect([model.version, pinned]).toEqual(['1', true])
  })
  test('gives way to a version of its name', () => {
    expect(chooseModel(models, 'shapes-vqa@2')).toMatchObject({ model: { version: '2' }, pinned: true })
  })
  test('is listed where the one asked for is unknown', () => {
    expect(errorOf(() => chooseModel(models, 'shapes-vqa@prod')).detail).toContain('shapes-vqa@stable')
  })
})

describe('a version that consumers run jobs on', () => {
  test('serves before a higher one', () => {
    const models = [{ ...servedModel({ version: '1' }), serving: true }, servedModel({ version: '2' })]
    expect(chooseModel(models, 'shapes-vqa').model.version).toBe('1')
  })
  test('is another one while the newest has failed', () => {
    const models = [
      servedModel({ version: '1' }, 0),
      { ...servedModel({ version: '2' }, 0), status: 'failed' as const },
    ]
    expect(chooseModel(models, 'shapes-vqa').model.version).toBe('1')
  })
})

describe('a job for what can not run', () => {
  const model = { ...servedModel({}, 0), error: 'model.json is missing.' }
  test.each([
    ['failed', 'model.json is missing.'],
    ['unloaded', 'not loaded'],
  ] as const)('because it is %s is refused with the reason', (status, reason) => {
    const error = errorOf(() => chooseModel([{ ...model, status }], 'shapes-vqa@1'))
    expect(error.code).toBe('model_unavailable')
    expect(error.detail).toContain(reason)
  })
  test('because it loads for the first time may come again; one known from before waits', () => {
    const error = errorOf(() => chooseModel([{ ...model, status: 'loading', manifest: null }], 'shapes-vqa'))
    expect([error.code, error.retryAfterMs]).toEqual(['model_unavailable', 2000])
    expect(chooseModel([{ ...model, status: 'loading' }], 'shapes-vqa').model.version).toBe('1')
  })
})

describe('a job names no model', () => {
  test('the only one is taken, in its serving version', () => {
    const { model } = chooseModel([servedModel({ version: '1' }), servedModel({ version: '2' })], null)
    expect(model.version).toBe('2')
  })
  test('the only one that consumers serve is taken', () => {
    const { model } = chooseModel([servedModel({ name: 'old' }, 0), servedModel({ name: 'new' })], null)
    expect(model.name).toBe('new')
  })
  test('with several it has to be named, and the answer lists them', () => {
    const error = errorOf(() => chooseModel([servedModel({ name: 'a' }), servedModel({ name: 'b' })], null))
    expect(error.code).toBe('invalid_request')
    expect(error.fields).toEqual([{ field: 'model', expected: expect.stringContaining('a, b') }])
  })
  test('with several the default one is taken, where it is among them', () => {
    const models = [servedModel({ name: 'a' }), servedModel({ name: 'b' })]
    expect(chooseModel(models, null, 'b').model.name).toBe('b')
    expect(errorOf(() => chooseModel(models, null, 'c')).code).toBe('invalid_request')
  })
  test('with none announced nobody can tell yet', () => {
    for (const reference of [null, 'shapes-vqa', 'shapes-vqa@1']) {
      const { code, retryAfterMs } = errorOf(() => chooseModel([], reference))
      expect([code, retryAfterMs]).toEqual(['model_unavailable', 2000])
    }
  })
})
