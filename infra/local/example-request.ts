import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { z } from 'zod'

const questionsSchema = z.array(z.object({ image: z.string(), question: z.string() }))
const chatsSchema = z.array(z.object({ image: z.string(), prompt: z.string().optional() }))

/** The models that the printed lines ask, in the lines' order. */
export const exampleModels = ['shapes-vqa', 'shapes-chat'] as const

interface Options {
  /** The root of the repository: the addresses of the pictures are given from there. */
  root: string
  url: string
}

/** Lines to paste into a shell: an example of shapes-vqa, and one of shapes-chat, whose text streams. None of a model that is not there. */
export async function exampleRequests({ root, url }: Options): Promise<string[]> {
  const read = async <T>(model: string, schema: z.ZodType<T[]>): Promise<T[]> => {
    const text = await readFile(join(root, examplesOf(model), 'examples.json'), 'utf8').catch(() => null)
    return text === null ? [] : (schema.safeParse(JSON.parse(text)).data ?? [])
  }
  const [question] = await read('shapes-vqa', questionsSchema)
  const chat = (await read('shapes-chat', chatsSchema)).find(({ prompt }) => prompt?.startsWith('Caption') === true)
  return [
    ...(question === undefined ? [] : [askOnce(question, url)]),
    ...(chat?.prompt === undefined ? [] : [streamChat(chat.image, chat.prompt, url)]),
  ]
}

function askOnce({ image, question }: { image: string; question: string }, url: string): string {
  return `curl -s -H 'Prefer: wait=30' -F model=shapes-vqa -F image=@${examplesOf('shapes-vqa')}/${image} -F 'question=${quoted(question)}' ${url}/jobs`
}

/** By OpenAI's endpoint, with the image as a data: URI on standard input: no argument may be as long as a photo. */
function streamChat(image: string, prompt: string, url: string): string {
  const type = image.endsWith('.webp') ? 'webp' : 'jpeg'
  const text = quoted(JSON.stringify(prompt).replaceAll('%', '%%'))
  const before = `{"model":"shapes-chat","stream":true,"messages":[{"role":"user","content":[{"type":"text","text":${text}},{"type":"image_url","image_url":{"url":"data:image/${type};base64,`
  const file = `${examplesOf('shapes-chat')}/${image}`
  return `{ printf '${before}'; base64 < ${file} | tr -d '\\n'; printf '"}}]}]}'; } | curl -sN -H 'Content-Type: application/json' -d @- ${url}/v1/chat/completions`
}

function examplesOf(model: string): string {
  return `models/${model}/1/examples`
}

/** Inside single quotes of a shell. */
function quoted(text: string): string {
  return text.replaceAll("'", String.raw`'\''`)
}
