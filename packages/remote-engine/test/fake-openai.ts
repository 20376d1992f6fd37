import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'

import { z } from 'zod'

const bodySchema = z.looseObject({
  model: z.string(),
  messages: z.array(z.looseObject({ role: z.string(), content: z.json() })),
})
export type SeenBody = z.infer<typeof bodySchema>

/** A chat completion that the server was asked for. */
export interface Asked {
  headers: IncomingMessage['headers']
  body: SeenBody
  /** The last text of the conversation. */
  question: string
  reply: Reply
  /** Whether the client has hung up. */
  gone: () => boolean
}

export interface Reply {
  /** Begins a stream, or goes on with it, by one event. */
  event: (data: unknown) => void
  /** A piece of the text, as a chunk. */
  piece: (content: string) => void
  /** The reason, the usage and the end. */
  end: (reason?: string, usage?: object) => void
  /** All of it. */
  text: (...pieces: string[]) => void
  /** A body of JSON, or of text as it is. */
  json: (status: number, body: unknown, headers?: Record<string, string>) => void
  /** The connection ends in the middle. */
  breakOff: () => void
}

/** A server that speaks as much of OpenAI's API as remote engines use, and answers as a test says. */
export interface FakeOpenAi {
  url: string
  port: number
  /** All chat completions so far. */
  asked: Asked[]
  /** What becomes of the next ones. */
  answer: (asked: Asked) => void
  /** What `GET` of a path answers; null: 404. */
  pages: Record<string, { status: number; body: unknown } | null>
  close: () => Promise<void>
}

export async function startFakeOpenAi(port = 0): Promise<FakeOpenAi> {
  const fake: FakeOpenAi = {
    url: '',
    port: 0,
    asked: [],
    answer: ({ question, reply }) => reply.text(question),
    pages: { '/v1/models': { status: 200, body: { object: 'list', data: [{ id: 'a-model', object: 'model' }] } } },
    async close() {
      server.close()
      server.closeAllConnections()
      if (server.listening) await once(server, 'close')
    },
  }
  const server = createServer((request, response) => {
    void serve(fake, request, response)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  fake.port = typeof address === 'object' && address !== null ? address.port : 0
  fake.url = `http://127.0.0.1:${fake.port}`
  return fake
}

async function serve(fake: FakeOpenAi, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const reply = replyOn(response)
  if (request.method === 'GET') {
    const page = fake.pages[request.url ?? ''] ?? null
    return page === null ? reply.json(404, { detail: 'Not Found' }) : reply.json(page.status, page.body)
  }
  const body = bodySchema.parse(JSON.parse((await buffer(request)).toString()))
  let gone = false
  response.on('close', () => {
    gone = true
  })
  const asked = { headers: request.headers, body, question: questionOf(body), reply, gone: () => gone }
  fake.asked.push(asked)
  fake.answer(asked)
}

function replyOn(response: ServerResponse): Reply {
  const event: Reply['event'] = (data) => {
    if (!response.headersSent) response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' })
    response.write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`)
  }
  const piece: Reply['piece'] = (content) =>
    event({ object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content }, finish_reason: null }] })
  const end: Reply['end'] = (reason = 'stop', usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }) => {
    event({ choices: [{ index: 0, delta: {}, finish_reason: reason }] })
    event({ choices: [], usage })
    event('[DONE]')
    response.end()
  }
  return {
    event,
    piece,
    end,
    text(...pieces) {
      for (const each of pieces) piece(each)
      end()
    },
    json(status, body, headers = {}) {
      response.writeHead(status, { 'Content-Type': 'application/json', ...headers })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    },
    breakOff: () => response.destroy(),
  }
}

function questionOf({ messages }: SeenBody): string {
  const content = messages.at(-1)?.content
  if (typeof content === 'string') return content
  const parts = z
    .array(z.looseObject({ text: z.string().optional() }))
    .catch([])
    .parse(content)
  return parts.findLast(({ text }) => text !== undefined)?.text ?? ''
}
