import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { z } from 'zod'

const examplesSchema = z.array(z.object({ image: z.string(), question: z.string() }))

interface Options {
  /** The root of the repository: the address of the picture is given from there. */
  root: string
  url: string
}

/** A curl line to paste: one of the shipped model's own examples. Null where its folder is not there. */
export async function exampleRequest({ root, url }: Options): Promise<string | null> {
  const folder = 'models/shapes-vqa/1/examples'
  const text = await readFile(join(root, folder, 'examples.json'), 'utf8').catch(() => null)
  const examples = text === null ? null : examplesSchema.safeParse(JSON.parse(text))
  const example = examples?.data?.[0]
  if (example === undefined) return null
  const question = example.question.replaceAll("'", String.raw`'\''`)
  return `curl -s -H 'Prefer: wait=30' -F model=shapes-vqa -F image=@${folder}/${example.image} -F 'question=${question}' ${url}/jobs`
}
