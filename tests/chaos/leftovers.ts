import {
  begunUploadKey,
  blobBytesKey,
  blobFactsKey,
  blobHoldersKey,
  objectServiceKey,
  objectSweepKey,
  uploadsBudgetKeys,
} from '@vision-queue/blobs'
import {
  admittedBytesKey,
  admittedKey,
  answerKey,
  apiKeysKey,
  consumerKey,
  consumersKey,
  endedBytesKey,
  endedJobsKey,
  jobKey,
  keptBytesKey,
  keptKey,
  modelAliasesKey,
  modelOrdersKey,
  modelPartsKey,
  modelVariantsKey,
  modelsKey,
  oldImageKey,
  ownedJobsKey,
  ownerBytesKey,
  ownerJobsKey,
  poisonKey,
  queueName,
  queuePrefix,
  rateKeyPrefix,
  readinessKey,
  readPlaces,
  resultKey,
  textKey,
  turnsKey,
  waitingKey,
} from '@vision-queue/queue'

import type { RedisView } from './redis-view.ts'

/** How a kind of key comes to its end. */
type Owner =
  /** By itself, whatever happens. */
  | 'expiry'
  /** With the job it stands for. */
  | 'job'
  /** One per model or in all: its number doesn't grow with the jobs. */
  | 'fixed'

const queue = `${queuePrefix('*')}:jobs*`
const jobId = 'job_[^:]+'
const anyBlob = { space: '*', hash: '*' }

/** Every kind of key there is, by what keys.ts calls it; BullMQ's own under its queue. */
const kinds: { kind: string; pattern: RegExp; owner: Owner }[] = [
  { kind: 'admitted', pattern: like(admittedKey('*')), owner: 'job' },
  { kind: 'admitted-bytes', pattern: like(admittedBytesKey('*')), owner: 'fixed' },
  { kind: 'readiness', pattern: like(readinessKey('*')), owner: 'expiry' },
  { kind: 'readiness', pattern: like(readinessKey(null)), owner: 'expiry' },
  { kind: 'blob', pattern: like(blobBytesKey(anyBlob)), owner: 'expiry' },
  { kind: 'blob facts', pattern: like(blobFactsKey(anyBlob)), owner: 'expiry' },
  { kind: 'begun upload', pattern: like(begunUploadKey('*')), owner: 'expiry' },
  { kind: 'service of objects', pattern: like(objectServiceKey), owner: 'fixed' },
  { kind: 'sweep of objects', pattern: like(objectSweepKey), owner: 'expiry' },
  { kind: 'blob holders', pattern: like(blobHoldersKey(anyBlob)), owner: 'expiry' },
  ...[true, false].map((uploaded) => ({
    kind: 'image of an earlier release',
    pattern: like(oldImageKey('*', { name: '*', uploaded })),
    owner: 'expiry' as const,
  })),
  { kind: 'kept', pattern: like(keptKey('*')), owner: 'expiry' },
  { kind: 'kept bytes', pattern: like(keptBytesKey('*')), owner: 'expiry' },
  { kind: 'text', pattern: like(textKey('*')), owner: 'expiry' },
  { kind: 'turns', pattern: like(turnsKey('*', '*')), owner: 'expiry' },
  { kind: 'owned jobs', pattern: like(ownedJobsKey('*')), owner: 'expiry' },
  ...(['failed', 'canceled', 'expired'] as const).map((status) => ({
    kind: 'ended jobs',
    pattern: like(endedJobsKey('*', status)),
    owner: 'expiry' as const,
  })),
  ...[true, false].map((succeeded) => ({
    kind: "an owner's ended bytes",
    pattern: like(endedBytesKey('*', succeeded)),
    owner: 'expiry' as const,
  })),
  { kind: "an owner's jobs", pattern: like(ownerJobsKey('*')), owner: 'expiry' },
  { kind: "an owner's bytes", pattern: like(ownerBytesKey('*')), owner: 'expiry' },
  { kind: 'API keys', pattern: like(apiKeysKey), owner: 'fixed' },
  { kind: 'rate', pattern: like(`${rateKeyPrefix}:*`), owner: 'expiry' },
  { kind: 'answer', pattern: like(answerKey('*', '*')), owner: 'expiry' },
  { kind: 'poison', pattern: like(poisonKey('*', '*')), owner: 'expiry' },
  { kind: 'upload lapses', pattern: like(uploadsBudgetKeys.lapses), owner: 'expiry' },
  { kind: 'upload bytes', pattern: like(uploadsBudgetKeys.bytes), owner: 'expiry' },
  { kind: 'job', pattern: like(jobKey('*')), owner: 'expiry' },
  { kind: 'result', pattern: like(resultKey('*')), owner: 'expiry' },
  { kind: 'models', pattern: like(modelsKey), owner: 'fixed' },
  { kind: 'model capacities', pattern: like('vq:model-capacities'), owner: 'fixed' },
  { kind: 'figures claim', pattern: like('vq:figures-claim'), owner: 'expiry' },
  { kind: 'model aliases', pattern: like(modelAliasesKey), owner: 'fixed' },
  { kind: 'model parts', pattern: like(modelPartsKey), owner: 'fixed' },
  { kind: 'model orders', pattern: like(modelOrdersKey), owner: 'fixed' },
  { kind: 'model variants', pattern: like(modelVariantsKey('*', '*')), owner: 'fixed' },
  { kind: 'idempotency key', pattern: /^vq:\{idempotency:[^:]*:[^:]*\}$/, owner: 'expiry' },
  { kind: 'consumers', pattern: like(consumersKey), owner: 'fixed' },
  { kind: 'consumer', pattern: like(consumerKey('*')), owner: 'expiry' },
  { kind: 'lock', pattern: like(`${queue}:${jobId}:lock`), owner: 'expiry' },
  { kind: 'queued job', pattern: like(`${queue}:${jobId}`), owner: 'job' },
  { kind: 'queue', pattern: like(`${queue}:(wait|active|delayed|prioritized|failed|stalled|marker)`), owner: 'job' },
  { kind: 'stalled check', pattern: like(`${queue}:stalled-check`), owner: 'expiry' },
  { kind: 'queue meta', pattern: like(`${queue}:(meta|id|events|pc)`), owner: 'fixed' },
]

/** `*` stands for what a name leaves open. */
function like(key: string): RegExp {
  return new RegExp(`^${key.replaceAll('{', '\\{').replaceAll('}:', '\\}:').replaceAll('*', '[^:]*')}$`)
}

export interface KeyCensus {
  /** How many keys there are of each kind. */
  counts: Record<string, number>
  /** Keys of no known kind. */
  unknown: string[]
  /** Keys that should expire by themselves and do not. */
  immortal: string[]
}

/** Looks at every key in Redis. */
export async function takeCensus(redis: RedisView): Promise<KeyCensus> {
  const census: KeyCensus = { counts: {}, unknown: [], immortal: [] }
  const keys = new Set<string>()
  let cursor = '0'
  do {
    const [next, some] = await redis.scan(cursor, 'COUNT', 500)
    for (const key of some) keys.add(key)
    cursor = next
  } while (cursor !== '0')
  for (const key of keys) {
    const found = kinds.find(({ pattern }) => pattern.test(key))
    if (found === undefined) {
      census.unknown.push(key)
      continue
    }
    census.counts[found.kind] = (census.counts[found.kind] ?? 0) + 1
    // -1: it has none. -2: it has gone since.
    if (found.owner === 'expiry' && (await redis.pttl(key)) === -1) census.immortal.push(key)
  }
  return census
}

/**
 * What jobs that are all final should have left nothing of, by kind, in any part of the model's queue; empty where they
 * didn't.
 */
export async function leftoversOf(redis: RedisView, model: string): Promise<Record<string, number>> {
  const { counts } = await takeCensus(redis)
  const gone = [
    'admitted',
    'blob',
    'blob facts',
    'blob holders',
    'image of an earlier release',
    'job',
    'lock',
    'queued job',
  ]
  const left = Object.fromEntries(gone.flatMap((kind) => (counts[kind] === undefined ? [] : [[kind, counts[kind]]])))
  const places = await readPlaces(redis, model)
  const parts = await Promise.all(places.map(async (place) => leftIn(redis, place)))
  const waiting = parts.reduce((sum, part) => sum + part.waiting, 0)
  const admittedBytes = parts.reduce((sum, part) => sum + part.admittedBytes, 0)
  return {
    ...left,
    ...(waiting > 0 ? { waiting } : {}),
    ...(admittedBytes > 0 ? { 'admitted bytes': admittedBytes } : {}),
  }
}

/** Jobs in the lists of one part's queue, and those whose bytes count in its bound. */
async function leftIn(redis: RedisView, place: string): Promise<{ waiting: number; admittedBytes: number }> {
  const lengths = await Promise.all([
    ...['wait', 'active'].map(async (list) => redis.llen(`${queuePrefix(place)}:jobs:${list}`)),
    redis.zcard(waitingKey(place, queueName)),
  ])
  const bytes = await redis.hgetall(admittedBytesKey(place))
  return {
    waiting: lengths.reduce((sum, length) => sum + length, 0),
    admittedBytes: Object.entries(bytes).filter(([field, value]) => field !== '' || value !== '0').length,
  }
}

/** Looks until nothing is left, at most `withinMs`: locks and stalled jobs take their time. */
export async function settledLeftovers(
  redis: RedisView,
  model: string,
  withinMs: number,
): Promise<Record<string, number>> {
  const end = Date.now() + withinMs
  for (;;) {
    const left = await leftoversOf(redis, model)
    if (Object.keys(left).length === 0 || Date.now() > end) return left
    await new Promise((resolve) => {
      setTimeout(resolve, 250)
    })
  }
}
