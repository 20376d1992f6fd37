import { z } from 'zod'

import { imageTypeSchema, payloadHashSchema } from './job-fields.ts'

/** The handle of an uploaded image: `img_` and the SHA-256 of its bytes, 64 hexadecimal digits. */
export const imageIdSchema = z.string().regex(/^img_[0-9a-f]{64}$/, 'an id like img_ and 64 hexadecimal digits')

export const imageIdOf = (hash: string): string => `img_${hash}`
export const hashOfImageId = (id: string): string => id.slice('img_'.length)

/** What is known of an image from its bytes and its header. */
export const imageFactsSchema = z.object({
  hash: payloadHashSchema,
  /** As a file. */
  bytes: z.int(),
  type: imageTypeSchema,
  /** In pixels, as the image stands upright: EXIF may say that it was stored on its side. */
  width: z.int(),
  height: z.int(),
})
export type ImageFacts = z.infer<typeof imageFactsSchema>

/** The body of `POST /images` as JSON. */
export const uploadSchema = z.strictObject({
  image: z.string('the image as base64 or as a data: URI').min(1, 'the image as base64 or as a data: URI'),
})

/** An uploaded image as the API answers it. */
export const imageResponseSchema = imageFactsSchema.omit({ hash: true }).extend({
  id: imageIdSchema.describe('to be used as "image" of a submission'),
  expires_at: z.iso
    .datetime()
    .describe('until when it can be used; put off by uploading it again and by each job that uses it'),
})
export type ImageResponse = z.infer<typeof imageResponseSchema>
