import type { QueuedJob } from './queued-job.ts'
import type { FinalStatus } from '@vision-queue/protocol'

/**
 * The names of everything in Redis. A model's keys share one hash tag, `{model}`, so that on Redis
 * Cluster its queue and its bound lie in one slot and one script may touch them. A queue may have several parts, each
 * with a tag of its own, its `place`. Blobs have keys of their own, see packages/blobs.
 */
const root = 'vq'

/** BullMQ puts a queue's keys under `<prefix>:<name>:`. */
export const queueName = 'jobs'
/**
 * The queue of the jobs that only this version may run: consumers take from it while they have the
 * version loaded, so that a pinned job waits for one of them instead of wandering between the others.
 */
export const pinnedQueueName = (version: string): string => `${queueName}@${version}`
/** The queue that a job waits in: pinned ones apart, so that only a consumer that has the version takes them. */
export const queueNameOf = ({
  versionPinned,
  modelVersion,
}: Pick<QueuedJob, 'versionPinned' | 'modelVersion'>): string =>
  versionPinned ? pinnedQueueName(modelVersion) : queueName
/** Where a job's part of its model's queue is: the hash tag of its keys. The first part has the name of the model. */
export const placeOf = ({ model, part = 0 }: { model: string; part?: number | undefined }): string =>
  part === 0 ? model : `${model}#${part}`
export const queuePrefix = (place: string): string => `${root}:{${place}}`

/** ZSET: admitted and unfinished job ids by the time at which the admission lapses. */
export const admittedKey = (place: string): string => `${root}:{${place}}:admitted`
/** HASH: `<bytes> <hashes> <owner> <space of the blobs>` by admitted job id, and the sum of the bytes under the empty field. */
export const admittedBytesKey = (place: string): string => `${root}:{${place}}:admitted-bytes`
/** ZSET of BullMQ: the jobs that wait in a queue, by priority and arrival. */
export const waitingKey = (place: string, queue: string): string => `${queuePrefix(place)}:${queue}:prioritized`
/** LIST of BullMQ: the jobs of a queue that consumers hold. */
export const activeKey = (place: string, queue: string): string => `${queuePrefix(place)}:${queue}:active`
/** HASH: how far each owner is in a queue's order of turns, and where the queue is. */
export const turnsKey = (place: string, queue: string): string => `${queuePrefix(place)}:turns:${queue}`
/** ZSET: the blobs that are kept for jobs which failed, were canceled or expired, `<hash> <space>`, by when that lapses. */
export const keptKey = (model: string): string => `${root}:{${model}}:kept`
/** HASH: the bytes of those blobs, and their sum under the empty field. */
export const keptBytesKey = (model: string): string => `${root}:{${model}}:kept-bytes`

/** STRING: present while the model refuses an image of this hash, because it crashed an engine. */
export const poisonKey = (model: string, hash: string): string => `${root}:{${model}}:poison:${hash}`

/** STRING: an answer (cachedAnswerSchema) that serves later jobs which ask the same, by answerDigest. */
export const answerKey = (place: string, digest: string): string => `${root}:{${place}}:answer:${digest}`
/** STRING: the bytes of an image as releases before shape 2 have stored it. Nothing is written there any more; it expires. */
export const oldImageKey = (model: string, { name, uploaded }: { name: string; uploaded: boolean }): string =>
  uploaded ? `${root}:{uploads}:image:${name}` : `${root}:{${model}}:payload:${name}`

/** STRING: the accepted job (queuedJobSchema); of one that did not succeed, for as long as it may be run again. */
export const jobKey = (id: string): string => `${root}:job:${id}`
/** ZSET: an owner's jobs, `<id> <model>`, by when they were submitted. */
export const ownedJobsKey = (owner: string | null): string => `${root}:owned:${owner ?? ''}`
/** ZSET: those of them that ended so. */
export const endedJobsKey = (owner: string | null, status: FinalStatus): string =>
  `${root}:owned:${owner ?? ''}:${status}`
/** HASH: bytes that an owner's ended jobs hold, by when that lapses; succeeded jobs have a hash, the others another one. */
export const endedBytesKey = (owner: string | null, succeeded: boolean): string =>
  `${root}:owned:${owner ?? ''}:bytes:${succeeded ? 'succeeded' : 'other'}`
/** STRING: the final job (finalJobSchema), written once. */
export const resultKey = (id: string): string => `${root}:result:${id}`
/**
 * LIST: the text of an answer on its way (text-log.ts). The hash tag is the name of the job's result, so that on Redis
 * Cluster both lie in one slot: what is published from there keeps its order.
 */
export const textKey = (id: string): string => `${root}:text:{${resultKey(id)}}`
/** Channel on which a job's changes (jobChangeSchema) are published. */
export const jobChannel = (id: string): string => `${root}:changes:${id}`
/** Channel of one API process: the final states of the jobs that name it in `replyTo`. */
export const replyChannel = (process: string): string => `${root}:replies:${process}`
/** Channel that tells consumers the id of a running job that was canceled: a hint, the stored result is the truth. */
export const cancellationsChannel = `${root}:cancellations`

/**
 * HASH: what an Idempotency-Key (its SHA-256) of an owner was used for, see idempotency-keys.ts. A slot of its own on
 * Redis Cluster, as it is claimed before anything else.
 */
export const idempotencyKey = (owner: string | null, keyHash: string): string =>
  `${root}:{idempotency:${owner ?? ''}:${keyHash}}`
/** STRING: written to see whether Redis takes writes; on the node of a part of a model's queue, or anywhere where it is null. */
export const readinessKey = (place: string | null): string =>
  place === null ? `${root}:{readiness}` : `${root}:{${place}}:readiness`

/** HASH: the last manifest (modelManifestSchema) of every model version announced and not forgotten, by name@version. */
export const modelsKey = `${root}:models`
/** HASH: into how many parts a model's queue was ever spread, by its name; none: one. */
export const modelPartsKey = `${root}:model-parts`
/** HASH: a model's aliases (modelAliasesSchema) by its name. */
export const modelAliasesKey = `${root}:model-aliases`
/** HASH: what administrators ordered (modelOrderSchema), by name or name@version; reloads under `reload <reference>`. */
export const modelOrdersKey = `${root}:model-orders`
/** HASH: jobs a second that a consumer of a model version got through as last announced, by name@version. */
export const modelCapacitiesKey = `${root}:model-capacities`
/** STRING: the API process that tells Prometheus what all of them know, see figures-claim.ts. */
export const figuresClaimKey = `${root}:figures-claim`
/** HASH: which variant of a model version the fleet runs (variantDecisionSchema), by the fingerprint of its files. */
export const modelVariantsKey = (name: string, version: string): string => `${root}:model-variants:${name}@${version}`
/** ZSET: consumer ids by last heartbeat, in Redis' time. */
export const consumersKey = `${root}:consumers`
/** STRING: a consumer's announcement (consumerAnnouncementSchema). */
export const consumerKey = (id: string): string => `${root}:consumer:${id}`

/** HASH: API keys (apiKeySchema) by their id. */
export const apiKeysKey = `${root}:keys`
/** STRING, a counter: an owner's requests in its minute, under `<prefix>:<owner>`. */
export const rateKeyPrefix = `${root}:rate`
/** ZSET: unfinished jobs that count against an owner's quota, by the time at which they lapse. */
export const ownerJobsKey = (owner: string): string => `${root}:{owner:${owner}}:jobs`
/** HASH: the bytes of these jobs by id, and their sum under the empty field. */
export const ownerBytesKey = (owner: string): string => `${root}:{owner:${owner}}:bytes`
