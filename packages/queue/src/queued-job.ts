import { requestContextSchema } from '@vision-queue/process'
import { z } from 'zod'

import { imageTypeSchema, jobIdSchema, metadataSchema, payloadHashSchema, prioritySchema } from '@vision-queue/protocol'

/**
 * What crosses the queue, once per job: ids, text, parameters and times; never image bytes, never
 * results. `version` is the shape's: a consumer refuses one it doesn't know rather than guess.
 */
export const queuedJobSchema = z.object({
  version: z.literal(1),
  id: jobIdSchema,
  model: z.string(),
  /** The version asked for or, where the caller did not pin one, the one that served at submission. */
  modelVersion: z.string(),
  /** Whether only that version will do. */
  versionPinned: z.boolean(),
  image: z.object({
    /** SHA-256 of the image's bytes. */
    hash: payloadHashSchema,
    /**
     * The name its bytes have in Redis, made of the owner and `hash`, so that nobody can tell what images another
     * owner has sent. Not set: the name is `hash`.
     */
    name: payloadHashSchema.optional(),
    bytes: z.int(),
    type: imageTypeSchema,
    /** Whether its bytes lie with the uploaded images, and not with the model's payloads. */
    uploaded: z.boolean().default(false),
  }),
  /** The task's other inputs, such as `question`. */
  input: z.record(z.string(), z.json()),
  parameters: z.record(z.string(), z.json()),
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
  /** Whose earlier answers may serve it, and whom its own may serve; null: all who ask without a key or share theirs. */
  answersOf: z.string().nullable().default(null),
  priority: prioritySchema.default('normal'),
  /** The job that this one is another try of. */
  retryOf: jobIdSchema.nullable().default(null),
  /** The request that handed it in, for the log; absent: a release handed it in that did not keep it. */
  context: requestContextSchema.optional(),
  /** SHA-256 of the Idempotency-Key that it was submitted with, which lapses with its result. */
  idempotencyKeyHash: z.string().optional(),
})
export type QueuedJob = z.infer<typeof queuedJobSchema>
