import { generationFiguresSchema, isErrorCode, launchReasonSchema, loadStepSchema } from '@vision-queue/protocol'

import type { Launch } from './batching/launch.ts'
import type { BatchRun } from './batching/run-or-split.ts'
import {
  type EngineAnswer,
  type EngineAnswers,
  type EngineText,
  type FromEngine,
  readySchema,
  type ToEngine,
} from './engine-protocol.ts'

type Fields = Record<string, unknown>

/**
 * What an engine said, or null where it is no message of this protocol. The engine may be broken, so nothing that the
 * pool reads is taken on trust, except what is inside an answer's output, which the pool passes on unread. The first
 * message is parsed by its schema; those that come with each batch are checked by hand, at a tenth of the cost.
 */
export function readFromEngine(raw: unknown): FromEngine | null {
  if (!isFields(raw)) return null
  switch (raw['kind']) {
    case 'ready':
      return readySchema.safeParse(raw).data ?? null
    case 'loading': {
      const loading = loadStepSchema.safeParse(raw['loading']).data
      return loading === undefined ? null : { kind: 'loading', loading }
    }
    case 'answers':
      return isAnswers(raw) ? raw : null
    case 'launch':
      return isLaunch(raw) ? raw : null
    case 'tokens':
      return isTokens(raw) ? raw : null
    case 'unavailable':
      return isUnavailable(raw) ? raw : null
    default:
      return null
  }
}

/** What a pool said. The pool is trusted; the engine ends where it is one of another release. */
export function readToEngine(raw: unknown): ToEngine {
  if (!isToEngine(raw)) throw new Error('the pool speaks another language')
  return raw
}

function isToEngine(raw: unknown): raw is ToEngine {
  if (!isFields(raw)) return false
  switch (raw['kind']) {
    case 'jobs':
      return Array.isArray(raw['jobs'])
    case 'cancel':
      return typeof raw['id'] === 'string'
    case 'blobs':
      return isFields(raw['source']) && isString(raw['source']['redisUrl'])
    default:
      return raw['kind'] === 'drain'
  }
}

function isAnswers(raw: Fields): raw is Fields & EngineAnswers {
  return (
    isListOf(raw['answers'], isAnswer) &&
    isListOf(raw['runs'], isRun) &&
    isListOf(raw['launches'], isExplained) &&
    isListOf(raw['launched'], isString) &&
    areNumbers(raw, 'cpuSeconds', 'batchLimit', 'residentBytes') &&
    (raw['cost'] === null || isCost(raw['cost'])) &&
    (raw['generation'] === null || isGeneration(raw['generation']))
  )
}

function isLaunch(raw: Fields): raw is Fields & Extract<FromEngine, { kind: 'launch' }> {
  return isListOf(raw['ids'], isString)
}

function isTokens(raw: Fields): raw is Fields & Extract<FromEngine, { kind: 'tokens' }> {
  return isListOf(raw['tokens'], isText)
}

function isUnavailable(raw: Fields): raw is Fields & Extract<FromEngine, { kind: 'unavailable' }> {
  return isString(raw['detail']) && isStringOrNull(raw['cause']) && typeof raw['passing'] === 'boolean'
}

function isAnswer(raw: unknown): raw is EngineAnswer {
  if (!isFields(raw) || !isString(raw['id'])) return false
  switch (raw['kind']) {
    case 'value':
      return (
        isFields(raw['output']) &&
        areNumbers(raw, 'preprocessMs', 'inferenceMs', 'batchSize') &&
        (raw['times'] === undefined || isTimes(raw['times']))
      )
    case 'error': {
      const { error, cause } = raw
      return (
        isFields(error) &&
        isString(error['code']) &&
        isErrorCode(error['code']) &&
        isString(error['detail']) &&
        isStringOrNull(cause)
      )
    }
    case 'unread':
      return isStringOrNull(raw['cause'])
    default:
      return raw['kind'] === 'canceled'
  }
}

function isRun(raw: unknown): raw is BatchRun {
  return isFields(raw) && areNumbers(raw, 'size', 'runMs')
}

function isExplained(raw: unknown): raw is Launch {
  if (!isFields(raw) || !areNumbers(raw, 'size', 'actualMs')) return false
  if (raw['predictedMs'] !== null && !areNumbers(raw, 'predictedMs')) return false
  return launchReasonSchema.options.some((reason) => reason === raw['reason'])
}

function isText(raw: unknown): raw is EngineText {
  return isFields(raw) && isString(raw['id']) && isString(raw['text']) && areNumbers(raw, 'index')
}

function isCost(raw: unknown): boolean {
  return isFields(raw) && areNumbers(raw, 'fixedMs', 'perItemMs', 'p99OverMs', 'batchSize')
}

const generationFields = Object.keys(generationFiguresSchema.shape)

function isGeneration(raw: unknown): boolean {
  return isFields(raw) && areNumbers(raw, ...generationFields)
}

function isTimes(raw: unknown): boolean {
  return isFields(raw) && areNumbers(raw, 'prefillMs', 'decodeMs')
}

/** Plain objects only: a channel with `serialization: 'advanced'` carries maps, dates and errors, too. */
function isFields(raw: unknown): raw is Fields {
  return typeof raw === 'object' && raw !== null && Object.getPrototypeOf(raw) === Object.prototype
}

function isListOf(raw: unknown, isOne: (item: unknown) => boolean): boolean {
  return Array.isArray(raw) && raw.every(isOne)
}

function areNumbers(raw: Fields, ...names: string[]): boolean {
  return names.every((name) => Number.isFinite(raw[name]))
}

function isString(raw: unknown): raw is string {
  return typeof raw === 'string'
}

function isStringOrNull(raw: unknown): boolean {
  return raw === null || typeof raw === 'string'
}
