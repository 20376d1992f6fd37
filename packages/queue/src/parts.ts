import { imageTypeSchema, payloadHashSchema } from '@vision-queue/protocol'
import { z } from 'zod'

/** A text that the task is asked with, such as `question`. */
export const textPartSchema = z.object({ kind: z.literal('text'), name: z.string(), text: z.string() })
export type TextPart = z.infer<typeof textPartSchema>

/** Bytes that lie with the blobs, not in the job. */
export const blobPartSchema = z.object({
  kind: z.literal('blob'),
  /** The input that it is, such as `image`. */
  name: z.string(),
  /** SHA-256 of the bytes, whoever sent them and however they came. */
  hash: payloadHashSchema,
  bytes: z.int(),
  type: imageTypeSchema,
  /** Where a job of shape 1 has the bytes; see `oldImageKey`. */
  old: z.object({ name: payloadHashSchema, uploaded: z.boolean() }).optional(),
})
export type BlobPart = z.infer<typeof blobPartSchema>

/** A piece of what a job asks. The order of parts is the caller's. */
export const partSchema = z.discriminatedUnion('kind', [textPartSchema, blobPartSchema])
export type Part = z.infer<typeof partSchema>

export const jobInputSchema = z.record(z.string(), z.json())
export type JobInput = z.infer<typeof jobInputSchema>

/** What a task is asked with, apart into the texts, which travel as parts, and the rest. */
export function partsOfInput(input: JobInput): { parts: TextPart[]; input: JobInput } {
  const entries = Object.entries(input)
  return {
    parts: entries.flatMap(([name, text]) => (typeof text === 'string' ? [{ kind: 'text', name, text }] : [])),
    input: Object.fromEntries(entries.filter(([, value]) => typeof value !== 'string')),
  }
}

/** What a task is asked with, as `partsOfInput` was given it; the order of the fields may be another. */
export function inputOfParts({ parts, input }: { parts: readonly Part[]; input: JobInput }): JobInput {
  const texts = parts.flatMap((part) => (part.kind === 'text' ? [[part.name, part.text] as const] : []))
  return { ...input, ...Object.fromEntries(texts) }
}

/** The blobs of a job, in their order. */
export function blobsOf({ parts }: { parts: readonly Part[] }): BlobPart[] {
  return parts.filter((part) => part.kind === 'blob')
}

/** Bytes of all blobs of a job; a blob that it names twice counts twice. */
export function blobBytesOf(job: { parts: readonly Part[] }): number {
  return blobsOf(job).reduce((sum, { bytes }) => sum + bytes, 0)
}
