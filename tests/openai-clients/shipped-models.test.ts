import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { startSystem, type System } from '@vision-queue/test-support/system'
import { OpenAI } from 'openai-6'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { allOf } from './served-chat.ts'

/** The shipped models behind the whole service, Redis and engines included, asked by OpenAI's client. */
let system: System
let client: OpenAI
beforeAll(async () => {
  system = await startSystem({ consumerEnv: { MODELS: 'shapes-vqa,shapes-caption', ENGINES: '1' } })
  client = new OpenAI({ baseURL: `${system.url}/v1`, apiKey: 'none' })
})
afterAll(async () => {
  await system.stop()
})

const example = fileURLToPath(new URL('../../models/shapes-vqa/1/examples/scene-01.jpg', import.meta.url))
const imageUri = `data:image/jpeg;base64,${await readFile(example, 'base64')}`
const ask = (text: string, url = imageUri) => [
  {
    role: 'user' as const,
    content: [
      { type: 'text' as const, text },
      { type: 'image_url' as const, image_url: { url } },
    ],
  },
]
const question = 'What is the color of the little cross?'

test('every shipped model is listed', async () => {
  const models = await allOf(client.models.list())
  expect(models.map(({ id }) => id)).toEqual(['shapes-caption', 'shapes-vqa'])
})

test('shapes-vqa answers a question, with its score as logprob', async () => {
  const completion = await client.chat.completions.create({
    model: 'shapes-vqa',
    messages: ask(question),
    logprobs: true,
    top_logprobs: 3,
  })
  const [choice] = completion.choices
  expect([choice?.message.content, choice?.finish_reason]).toEqual(['red', 'stop'])
  const [token] = choice?.logprobs?.content ?? []
  expect(token?.logprob).toBeGreaterThan(Math.log(0.5))
  expect(token?.top_logprobs).toHaveLength(3)
  expect(completion.system_fingerprint).toMatch(/^shapes-vqa@1\//)
})

test('an uploaded image is asked about by its id, and a job is found by the id in the answer', async () => {
  const uploaded = await fetch(`${system.url}/images`, { method: 'POST', body: await readFile(example) })
  const { id } = Object(await uploaded.json())
  const { data, response } = await client.chat.completions
    .create({ model: 'shapes-vqa', messages: ask(question, String(id)) })
    .withResponse()
  expect(data.choices[0]?.message.content).toBe('red')
  const job: unknown = await (await fetch(`${system.url}/jobs/${response.headers.get('x-job-id')}`)).json()
  expect(job).toMatchObject({ status: 'succeeded', output: { answers: [{ answer: 'red' }] } })
})

test('shapes-caption streams the text that it answers with', async () => {
  const body = { model: 'shapes-caption', messages: ask('Describe the image.') }
  const whole = await client.chat.completions.create(body)
  const chunks = await allOf(
    await client.chat.completions.create({ ...body, stream: true, stream_options: { include_usage: true } }),
  )
  const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')
  expect(text).toBe(whole.choices[0]?.message.content)
  expect(text.length).toBeGreaterThan(10)
  expect(chunks.map(({ choices }) => choices[0]?.finish_reason).filter((reason) => reason != null)).toEqual(['stop'])
  expect(chunks.at(-1)?.usage).toEqual(whole.usage)
  expect(whole.usage?.completion_tokens).toBeGreaterThan(3)
})

test('shapes-caption is cut where it is told to be', async () => {
  const { choices } = await client.chat.completions.create({
    model: 'shapes-caption',
    messages: ask('Describe the image.'),
    max_tokens: 2,
  })
  expect(choices[0]?.finish_reason).toBe('length')
})

test('a broken image is an error of the request', async () => {
  const cut = `data:image/jpeg;base64,${(await readFile(example)).subarray(0, 2000).toString('base64')}`
  const asking = client.chat.completions.create({ model: 'shapes-vqa', messages: ask(question, cut) })
  await expect(asking).rejects.toMatchObject({ status: 422, code: 'image_undecodable' })
})

test('the example of docs/openai.md runs as it is, with either major of the client', async () => {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  const page = await readFile(join(root, 'docs/openai.md'), 'utf8')
  const [, program = ''] = /^```js\n([\s\S]*?)^```$/m.exec(page) ?? []
  for (const name of ['openai-6', 'openai-7']) {
    const folder = await mkdtemp(join(tmpdir(), 'openai-example-'))
    try {
      await mkdir(join(folder, 'node_modules'))
      const installed = await realpath(new URL(`node_modules/${name}`, import.meta.url))
      await symlink(installed, join(folder, 'node_modules/openai'))
      const file = join(folder, 'example.mjs')
      await writeFile(file, program.replace('http://127.0.0.1:3000', system.url))
      const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: root })
      expect(stdout).toMatch(/^red\n.{10,}/)
    } finally {
      await rm(folder, { recursive: true })
    }
  }
})
