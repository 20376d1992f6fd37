import { requestContextSchema } from '@vision-queue/process'
import { imageTypeSchema, jobIdSchema, metadataSchema, payloadHashSchema, prioritySchema } from '@vision-queue/protocol'
import { z } from 'zod'

import { isObject } from './is-object.ts'
import { jobInputSchema, partSchema, partsOfInput } from './parts.ts'

/** What all shapes of a job have. */
const commonShape = {
  id: jobIdSchema,
  model: z.string(),
  /** The version asked for or, where the caller did not pin one, the one that served at submission. */
  modelVersion: z.string(),
  /** Whether only that version will do. */
  versionPinned: z.boolean(),
  parameters: jobInputSchema,
  metadata: metadataSchema.nullable(),
  /** Milliseconds since 1970. */
  createdAt: z.int(),
  /** Milliseconds since 1970, in the queue by Redis' clock, after which the job ends as `expired` instead of running; null: never. */
  deadlineAt: z.int().nullable(),
  /** Whether an earlier answer to the same question may serve, and this one's be kept for later ones. */
  cache: z.boolean().default(false),
  /** The API process that waits for the result; null: nobody does, or whoever does subscribes to the job. */
  replyTo: z.string().nullable().default(null),
  /** The id of the key that handed it in, which alone may read it; null: no key was asked for. */
  owner: z.string().nullable().default(null),
  /**
   * Whose earlier answers may serve it, and whom its own may serve; null: all who ask without a key or share theirs.
   * The same decides whose stored blobs may serve it (blobSpaceOf).
   */
  answersOf: z.string().nullable().default(null),
  priority: prioritySchema.default('normal'),
  /** The job that this one is another try of. */
  retryOf: jobIdSchema.nullable().default(null),
  /** In which part of its model's queue it is (queue-places.ts); absent: the first, 0. */
  part: z.int().min(0).optional(),
  /** The request that handed it in, for the log; absent: a release handed it in that did not keep it. */
  context: requestContextSchema.optional(),
  /** SHA-256 of the Idempotency-Key that it was submitted with, which lapses with its result. */
  idempotencyKeyHash: z.string().optional(),
}

const jobSchema2 = z.object({
  version: z.literal(2),
  ...commonShape,
  /** Texts, such as `question`, and blobs. */
  parts: z.array(partSchema),
  /** The task's inputs that are neither. */
  input: jobInputSchema,
})
type Job2 = z.infer<typeof jobSchema2>

/** Of releases before: one image, and all texts in `input`. */
const jobSchema1 = z.object({
  version: z.literal(1),
  ...commonShape,
  image: z.object({
    hash: payloadHashSchema,
    /** The name of the bytes in Redis where that isn't `hash`. */
    name: payloadHashSchema.optional(),
    bytes: z.int(),
    type: imageTypeSchema,
    /** Whether the bytes lie with the uploaded images, and not with the model's payloads. */
    uploaded: z.boolean().default(false),
  }),
  input: jobInputSchema,
})

function fromShape1({ image, input, ...common }: z.infer<typeof jobSchema1>): Job2 {
  const { name, uploaded, ...blob } = image
  const old = { name: name ?? image.hash, uploaded }
  const texts = partsOfInput(input)
  return {
    ...common,
    version: 2,
    parts: [{ kind: 'blob', name: 'image', ...blob, old }, ...texts.parts],
    input: texts.input,
  }
}

/**
 * What crosses the queue, once per job: ids, texts, parameters and times; never image bytes, never
 * results. `version` is the shape's: a consumer refuses one it doesn't know rather than guess. Jobs of
 * shape 1, which may wait when a release is rolled out, are read as shape 2.
 */
export const queuedJobSchema = z.union([jobSchema2, jobSchema1.transform(fromShape1)])
export type QueuedJob = Job2

/**
 * The job in what was queued; null: a shape that this release doesn't understand. What our own releases queue needs no
 * more than a look at what is used; whatever looks otherwise is parsed.
 */
export function readQueuedJob(value: unknown): QueuedJob | null {
  if (isJob2(value)) return value
  const job = queuedJobSchema.safeParse(value)
  return job.success ? job.data : null
}

function isJob2(value: unknown): value is QueuedJob {
  if (!isObject(value) || value['version'] !== 2 || !Array.isArray(value['parts'])) return false
  return (
    ['id', 'model', 'modelVersion', 'priority'].every((name) => typeof value[name] === 'string') &&
    ['versionPinned', 'cache'].every((name) => typeof value[name] === 'boolean') &&
    ['replyTo', 'owner', 'answersOf', 'retryOf'].every((name) => isNullOr('string', value[name])) &&
    Number.isInteger(value['createdAt']) &&
    isNullOr('number', value['deadlineAt']) &&
    (value['part'] === undefined || Number.isInteger(value['part'])) &&
    ['parameters', 'input'].every((name) => isObject(value[name])) &&
    isNullOr('object', value['metadata']) &&
    value['parts'].every(isPart)
  )
}

function isPart(part: unknown): boolean {
  if (!isObject(part) || typeof part['name'] !== 'string') return false
  if (part['kind'] === 'text') return typeof part['text'] === 'string'
  return part['kind'] === 'blob' && typeof part['hash'] === 'string' && typeof part['bytes'] === 'number'
}

function isNullOr(type: 'string' | 'number' | 'object', value: unknown): boolean {
  return value === null || typeof value === type
}
