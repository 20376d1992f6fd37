import sharp from 'sharp'
import { z } from 'zod'

import { findLines, type LineBox } from './find-lines.ts'

export interface ReadLine extends LineBox {
  text: string
  /** How sure the model is of a character on average, 0..1. */
  score: number
}

const problemSchema = z.object({ detail: z.string() })
const jobSchema = z.object({ status: z.string(), output: z.unknown(), error: problemSchema.nullish() })
const foundSchema = z.object({ segments: z.array(z.object({ mask: z.string() })) })
const readSchema = z.object({ text: z.string(), score: z.number() })

/** The lines of text in an image: one job finds them, one more for each reads it, and the server batches those. */
export async function readText(server: string, file: Uint8Array): Promise<ReadLine[]> {
  const image = await sharp(file)
    .autoOrient()
    .flatten({ background: '#ffffff' })
    .png()
    .toBuffer({ resolveWithObject: true })
  const { segments } = foundSchema.parse(await ask(server, 'ocr-find', image.data))
  const mask = segments[0]?.mask
  if (mask === undefined) return []
  const map = await sharp(Buffer.from(mask, 'base64')).toColourspace('b-w').raw().toBuffer({ resolveWithObject: true })
  // A large image's map is smaller than it.
  const scale = image.info.width / map.info.width
  const lines = findLines({ ...map.info, data: map.data }).map((line) => scaled(line, scale, image.info))
  const read = await Promise.all(
    lines.map(async (line) =>
      readSchema.parse(await ask(server, 'ocr-read', await sharp(image.data).extract(line).png().toBuffer())),
    ),
  )
  return lines.flatMap((line, index) => {
    const text = read[index]?.text.trim() ?? ''
    return text === '' ? [] : [{ ...line, text, score: read[index]?.score ?? 0 }]
  })
}

function scaled(
  { left, top, width, height }: LineBox,
  scale: number,
  image: { width: number; height: number },
): LineBox {
  const [x, y] = [Math.floor(left * scale), Math.floor(top * scale)]
  return {
    left: x,
    top: y,
    width: Math.min(image.width - x, Math.ceil(width * scale)),
    height: Math.min(image.height - y, Math.ceil(height * scale)),
  }
}

/** Submits an image and waits for its job's output. */
async function ask(server: string, model: string, image: Uint8Array): Promise<unknown> {
  const response = await fetch(`${server}/jobs?model=${model}`, {
    method: 'POST',
    headers: { 'content-type': 'image/png', prefer: 'wait=60' },
    body: Uint8Array.from(image),
  })
  const body: unknown = await response.json()
  if (!response.ok) throw new Error(`${model}: ${problemSchema.safeParse(body).data?.detail ?? response.statusText}`)
  const { status, output, error } = jobSchema.parse(body)
  if (status !== 'succeeded') throw new Error(`${model}: the job is ${status}. ${error?.detail ?? ''}`)
  return output
}
