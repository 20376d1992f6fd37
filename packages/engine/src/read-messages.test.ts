import { describe, expect, it } from 'vitest'

import { type EngineAnswer, engineProtocol, type FromEngine } from './engine-protocol.ts'
import { readFromEngine, readToEngine } from './read-messages.ts'

const cost = { fixedMs: 1, perItemMs: 1, p99OverMs: 1, batchSize: 1 }
const value: EngineAnswer = {
  kind: 'value',
  id: 'a',
  output: { answer: 'yes' },
  preprocessMs: 1,
  inferenceMs: 1,
  batchSize: 1,
}
const error: EngineAnswer = {
  kind: 'error',
  id: 'b',
  error: { code: 'image_undecodable', detail: 'It is broken.' },
  cause: null,
}
const answers: FromEngine = {
  kind: 'answers',
  answers: [value, error, { kind: 'canceled', id: 'c' }],
  runs: [{ size: 2, runMs: 3 }],
  launches: [{ reason: 'idle', size: 2, predictedMs: null, actualMs: 3 }],
  launched: ['d'],
  cpuSeconds: 1,
  batchLimit: 4,
  cost,
  residentBytes: 1,
  generation: null,
}
const generation = {
  encodeMs: 1,
  prefillMs: 2,
  decodeMs: 3,
  imagesKnown: 4,
  imagesNew: 5,
  running: 1,
  waiting: 0,
  reservedBytes: 20,
  heldBytes: 10,
  limitBytes: 30,
}
const manifest = {
  name: 'm',
  version: '1',
  task: 'echo',
  variant: 'fp32',
  provider: 'cpu',
  maxBatchSize: 4,
  labels: null,
  inputSchema: {},
  parametersSchema: {},
  outputSchema: {},
}
const ready = { kind: 'ready', protocol: engineProtocol, manifest, cost, residentBytes: 1, generation: null }

describe('what an engine says', () => {
  it.each<object>([
    ready,
    answers,
    { ...answers, cost: null },
    { ...answers, generation },
    { ...answers, answers: [{ ...value, times: { prefillMs: 1, decodeMs: 2 } }] },
    { kind: 'launch', ids: ['a'] },
    { kind: 'tokens', tokens: [{ id: 'a', text: 'ye', index: 0 }] },
    { kind: 'unavailable', detail: 'No file.', cause: null, passing: false },
  ])('is read as it is: %o', (message) => {
    expect(readFromEngine(message)).toEqual(message)
  })

  it.each<[string, unknown]>([
    ['nothing', null],
    ['no object', 'answers'],
    ['a map', new Map([['kind', 'launch']])],
    ['an unknown kind', { kind: 'hello' }],
    ['another protocol', { ...ready, protocol: engineProtocol + 1 }],
    ['a manifest without a batch size', { ...ready, manifest: { ...manifest, maxBatchSize: undefined } }],
    ['no list of answers', { ...answers, answers: 'all' }],
    ['an answer without an id', { ...answers, answers: [{ kind: 'canceled' }] }],
    ['an answer of an unknown kind', { ...answers, answers: [{ ...value, kind: 'maybe' }] }],
    ['an output that is no object', { ...answers, answers: [{ ...value, output: 'yes' }] }],
    ['a time that is no number', { ...answers, answers: [{ ...value, inferenceMs: Number.NaN }] }],
    [
      'a code that is not in the table',
      { ...answers, answers: [{ ...error, error: { code: 'toString', detail: '' } }] },
    ],
    ['an error without words', { ...answers, answers: [{ ...error, error: { code: 'internal_error' } }] }],
    ['a cause that is no text', { ...answers, answers: [{ ...error, cause: {} }] }],
    ['a run without a size', { ...answers, runs: [{ runMs: 1 }] }],
    ['an unknown reason', { ...answers, launches: [{ reason: '__proto__', size: 1, predictedMs: 1, actualMs: 1 }] }],
    ['an id that is a number', { ...answers, launched: [1] }],
    ['half a cost', { ...answers, cost: { fixedMs: 1 } }],
    ['half of what it generated', { ...answers, generation: { ...generation, decodeMs: undefined } }],
    ['half of its times', { ...answers, answers: [{ ...value, times: { prefillMs: 1 } }] }],
    ['no memory', { ...answers, residentBytes: undefined }],
    ['ids that are no list', { kind: 'launch', ids: 'a' }],
    ['a piece of text without its place', { kind: 'tokens', tokens: [{ id: 'a', text: 'ye' }] }],
    ['a refusal without words', { kind: 'unavailable', cause: null, passing: true }],
  ])('is refused: %s', (_, message) => {
    expect(readFromEngine(message)).toBeNull()
  })
})

it('an engine takes what a pool of its release says, and ends at anything else', () => {
  expect(readToEngine({ kind: 'drain' })).toEqual({ kind: 'drain' })
  expect(() => readToEngine({ kind: 'jobs' })).toThrow('another language')
  expect(() => readToEngine('drain')).toThrow('another language')
})

it('takes what an engine does while it loads, and nothing that only looks like it', () => {
  const loading = { step: 'opening', at: 1, of: 2 }
  expect(readFromEngine({ kind: 'loading', loading })).toEqual({ kind: 'loading', loading })
  expect(readFromEngine({ kind: 'loading', loading: { ...loading, at: null, of: null } })).not.toBeNull()
  for (const wrong of [undefined, null, 'opening', { ...loading, step: 'sleeping' }, { ...loading, at: 0 }]) {
    expect(readFromEngine({ kind: 'loading', loading: wrong })).toBeNull()
  }
})
