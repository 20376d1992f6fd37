import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { z } from 'zod'

const folder = new URL('../../models/shapes-vqa/1/examples/', import.meta.url)
const examplesSchema = z.array(z.object({ image: z.string(), question: z.string(), answer: z.string() }))

export interface Example {
  image: Buffer
  type: string
  question: string
  /** The true answer, from the generator of the scene. */
  answer: string
}

/** The pictures that ship beside shapes-vqa, held out from its training, with questions and true answers. */
export function readExamples(): Example[] {
  const listed = examplesSchema.parse(JSON.parse(readFileSync(new URL('examples.json', folder), 'utf8')))
  return listed.map(({ image, question, answer }) => ({
    image: readFileSync(fileURLToPath(new URL(image, folder))),
    type: image.endsWith('.png') ? 'image/png' : image.endsWith('.webp') ? 'image/webp' : 'image/jpeg',
    question,
    answer,
  }))
}
