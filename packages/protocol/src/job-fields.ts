import { z } from 'zod'

/** Request ids are job ids: `job_` and 21 random characters. No `:`, which BullMQ reserves. */
export const jobIdSchema = z.string().regex(/^job_[A-Za-z0-9_-]{21}$/, 'an id like job_V1StGXR8Z5jdHi6BmyTab')

/** A SHA-256, 64 hexadecimal digits. */
export const payloadHashSchema = z.string().regex(/^[0-9a-f]{64}$/)

/** The image types that are taken. */
export const imageTypes = ['image/jpeg', 'image/png', 'image/webp'] as const

export const imageTypeSchema = z.enum(imageTypes)
export type ImageType = z.infer<typeof imageTypeSchema>

/** What a caller may attach to a job and gets back with it: at most 16 short strings. */
export const metadataSchema = z
  .record(z.string().max(64), z.string().max(512))
  .refine((metadata) => Object.keys(metadata).length <= 16, 'at most 16 entries')

/** How much sooner or later than others a job has its turn; none waits for ever. */
export const prioritySchema = z.enum(['low', 'normal', 'high'])
export type Priority = z.infer<typeof prioritySchema>
