import { describe, expect, test } from 'vitest'
import { z } from 'zod'

import { allOf, imageUri, jobStates, said, serveChat, structured } from './served-chat.ts'

/** Both majors, whose interfaces are the same as far as these tests go. */
const loadClient = async (name: string): Promise<typeof import('openai-7')> => import(name)
const loadZod = async (name: string): Promise<typeof import('openai-7/helpers/zod')> => import(`${name}/helpers/zod`)

const messages = [
  { role: 'system' as const, content: 'Be brief.' },
  {
    role: 'user' as const,
    content: [
      { type: 'text' as const, text: 'What is this?' },
      { type: 'image_url' as const, image_url: { url: imageUri } },
    ],
  },
]
const asked = { model: 'shapes-chat', messages }

describe.each(['openai-6', 'openai-7'])('%s', async (name) => {
  const { OpenAI } = await loadClient(name)
  const { zodResponseFormat } = await loadZod(name)
  const connect = (url: string): InstanceType<typeof OpenAI> =>
    new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 })

  test('lists the models and retrieves one', async () => {
    const client = connect((await serveChat()).url)
    const ids: string[] = []
    for await (const { id } of client.models.list()) ids.push(id)
    expect(ids).toContain('shapes-chat')
    expect(await client.models.retrieve('shapes-chat@1')).toMatchObject({ id: 'shapes-chat@1', object: 'model' })
  })

  test('asks about an image', async () => {
    const client = connect((await serveChat()).url)
    const { data, response } = await client.chat.completions.create(asked).withResponse()
    expect(data.choices[0]?.message.content).toBe(said)
    expect(data.usage).toMatchObject({ prompt_tokens: 70, completion_tokens: 4, total_tokens: 74 })
    expect(response.headers.get('x-job-id')).toMatch(/^job_/)
  })

  test('streams, with the usage at the end', async () => {
    const client = connect((await serveChat()).url)
    const stream = await client.chat.completions.create({
      ...asked,
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks = await allOf(stream)
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(said)
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 74 } })
  })

  test('gathers a stream into a completion', async () => {
    const client = connect((await serveChat()).url)
    const completion = await client.chat.completions.stream({ ...asked, n: 2, seed: 1 }).finalChatCompletion()
    expect(completion.choices.map(({ message, finish_reason: reason }) => [message.content, reason])).toEqual([
      [said, 'stop'],
      [said, 'stop'],
    ])
  })

  test('parses structured output', async () => {
    const api = await serveChat()
    const schema = z.object({ shape: z.string(), colour: z.enum(['red', 'blue']) })
    const completion = await connect(api.url).chat.completions.parse({
      ...asked,
      response_format: zodResponseFormat(schema, 'figure'),
    })
    expect(completion.choices[0]?.message.parsed).toEqual(structured)
    expect(api.jobs.submitted[0]?.job.parameters['response_format']).toMatchObject({
      type: 'json_schema',
      json_schema: { name: 'figure', schema: { required: ['shape', 'colour'] } },
    })
  })

  test('knows errors by class, code and field', async () => {
    const api = await serveChat()
    const client = connect(api.url)
    const failure = async (body: object): Promise<unknown> =>
      client.chat.completions.create({ ...asked, ...body }).catch((error: unknown) => error)
    const unknown = await failure({ model: 'gpt-4o' })
    expect(unknown).toBeInstanceOf(OpenAI.NotFoundError)
    expect(unknown).toMatchObject({ code: 'model_not_found', message: expect.stringContaining('shapes-chat@1') })
    const refused = await failure({ tools: [{ type: 'function', function: { name: 'f' } }] })
    expect(refused).toBeInstanceOf(OpenAI.BadRequestError)
    expect(refused).toMatchObject({ param: 'tools', type: 'invalid_request_error' })
    const unfit = await failure({ model: 'shapes-vqa', messages: [{ role: 'user', content: '?' }] })
    expect(unfit).toBeInstanceOf(OpenAI.UnprocessableEntityError)
    expect(unfit).toMatchObject({ code: 'invalid_input', param: 'messages' })
    const locked = await serveChat({ ALLOW_ANONYMOUS: 'false' })
    await expect(connect(locked.url).models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError)
  })

  test('is told by an error in the stream that the answer breaks off', async () => {
    const api = await serveChat()
    const stream = await connect(api.url).chat.completions.create({ ...asked, stream: true, max_tokens: 200 })
    const { id } = api.jobs.submitted[0]?.job ?? { id: '' }
    api.jobs.run(id)
    api.jobs.say(id, 'A')
    api.jobs.finish(id, 'canceled')
    await expect(allOf(stream)).rejects.toMatchObject({ code: 'job_canceled' })
  })

  test('tries a full queue again after Retry-After, and what can not succeed only once', async () => {
    const api = await serveChat()
    const { OpenAI: Client } = await loadClient(name)
    let requests = 0
    const client = new Client({
      baseURL: `${api.url}/v1`,
      apiKey: 'none',
      maxRetries: 1,
      fetch: async (...request) => {
        requests += 1
        return fetch(...request)
      },
    })
    const creating = client.chat.completions.create({ ...asked, max_tokens: 200 })
    await expect.poll(() => api.jobs.openWatches()).toBe(1)
    api.jobs.finish(api.jobs.submitted[0]?.job.id ?? '', 'canceled')
    await expect(creating).rejects.toMatchObject({ status: 410 })
    expect(requests).toBe(1)
    api.jobs.down = true
    await expect(client.chat.completions.create(asked)).rejects.toMatchObject({ status: 503 })
    expect(requests).toBe(3)
  })

  test('cancels its job by its abort, whole or in the middle of a stream', async () => {
    const api = await serveChat()
    const client = connect(api.url)
    const controller = new AbortController()
    const waiting = client.chat.completions.create({ ...asked, max_tokens: 200 }, { signal: controller.signal })
    await expect.poll(() => api.jobs.openWatches()).toBe(1)
    controller.abort()
    await expect(waiting).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
    const stream = await client.chat.completions.create({ ...asked, max_tokens: 200, stream: true })
    for await (const _first of stream) break
    await expect.poll(async () => jobStates(api)).toEqual(['canceled', 'canceled'])
  })
})
