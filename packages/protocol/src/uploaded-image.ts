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

/** The body of `POST /uploads`. */
export const beginUploadSchema = z.strictObject({
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits, lower case')
    .describe('the SHA-256 of the image file'),
  bytes: z.int('a whole number').min(1, 'a whole number from 1').describe('how many bytes the file has'),
})

/** An upload that has begun, as the API answers it. */
export const begunUploadSchema = z.object({
  id: z.string(),
  method: z.literal('PUT'),
  url: z.string().describe('where to send the file; a right to do so, until expires_at'),
  headers: z.record(z.string(), z.string()).describe('to be sent with it as they are'),
  expires_at: z.iso.datetime(),
  urls: z.object({ complete: z.string().describe('POST here once the file is sent') }),
})
export type BegunUploadResponse = z.infer<typeof begunUploadSchema>

/** An uploaded image as the API answers it. */
export const imageResponseSchema = imageFactsSchema.omit({ hash: true }).extend({
  id: imageIdSchema.describe('to be used as "image" of a submission'),
  expires_at: z.iso
    .datetime()
    .describe('until when it can be used; put off by uploading it again and by each job that uses it'),
})
export type ImageResponse = z.infer<typeof imageResponseSchema>
