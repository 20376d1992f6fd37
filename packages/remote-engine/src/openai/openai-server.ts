import { chatInputSchema, chatParametersSchema, mostImages, parseInput } from '@vision-queue/engine/chat'
import { type InferenceRequest, ImagesUnreadError } from '@vision-queue/engine-pool'
import type { RemoteModel } from '@vision-queue/models'
import { type ModelManifest, VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import { readJson } from '../http-json.ts'
import { type HttpServer, openHttpServer } from '../http-server.ts'
import { remoteManifest } from '../remote-manifest.ts'
import { NotReadyError, type RemoteServer } from '../remote-server.ts'
import { failureOf } from '../server-failure.ts'
import { readChatAnswer, remoteChatOutputSchema } from './chat-answer.ts'
import { readChoice, toChatRequest } from './chat-request.ts'

export interface OpenServerOptions {
  model: RemoteModel
  key: string | null
  timeoutMs: number
}

const modelListSchema = z.object({ data: z.array(z.looseObject({ id: z.string() })) })
const mostListBytes = 4 * 1024 * 1024

/** A server of chat completions, as OpenAI's API has them: vLLM, llama.cpp's server, Ollama, another of these services. */
export function openOpenAiServer({ model, key, timeoutMs }: OpenServerOptions): RemoteServer {
  const url = baseOf(model.engine.url)
  const http = openHttpServer({ url, key, timeoutMs })
  const root = openHttpServer({ url: url.replace(/\/v1$/, ''), key, timeoutMs })
  const secrets = [key ?? '', new URL(url).host]
  const input = chatInputSchema
  const parameters = chatParametersSchema(model.defaults)
  let manifest: ModelManifest | null = null

  return {
    async look(signal) {
      await lookAtHealth(root, signal)
      await lookForModel(http, model.engine.model, signal)
      manifest ??= await remoteManifest(model, {
        images: { min: 0, max: Math.min(mostImages, model.max_images) },
        input,
        parameters,
        output: remoteChatOutputSchema,
      })
      return manifest
    },
    async ask(request, { signal, onAccepted }) {
      const asked = {
        input: parseInput(input, request.input, 'input'),
        parameters: parseInput(parameters, request.parameters, 'parameters'),
        images: bytesOf(request),
        given: new Set(Object.keys(request.parameters)),
      }
      const body = JSON.stringify(toChatRequest(model.engine.model, asked))
      const headers = { 'Content-Type': 'application/json', Accept: 'text/event-stream, application/json' }
      const answer = await http.send({ method: 'POST', path: '/chat/completions', body, headers, signal })
      if (answer.status !== 200) throw await failureOf(answer, secrets)
      onAccepted()
      const { response_format: format } = asked.parameters
      const choices = format?.type === 'choice' ? format.choices : null
      // A choice comes as JSON, of which nobody wants to read along.
      const output = await readChatAnswer(answer, { onText: choices === null ? request.onTokens : undefined, secrets })
      if (choices === null) return output
      const text = readChoice(output.text, choices)
      if (text === null) {
        throw new VisionQueueError(
          'inference_failed',
          'The server of this model has answered with none of the choices.',
        )
      }
      return { ...output, text }
    },
    async close() {
      await Promise.all([http.close(), root.close()])
    },
  }
}

/** Of an address without a path it is the usual one. */
function baseOf(address: string): string {
  const { origin, pathname } = new URL(address)
  const path = pathname.replace(/\/+$/, '')
  return `${origin}${path === '' ? '/v1' : path}`
}

/** vLLM and llama.cpp tell by `/health` whether they can answer; others have no such page. */
async function lookAtHealth(root: HttpServer, signal: AbortSignal): Promise<void> {
  const { status, text } = await root.get('/health', signal)
  await text({ mostBytes: mostListBytes, cut: true })
  if (status < 500) return
  const why = status === 503 ? 'is not ready' : 'is not well'
  throw new NotReadyError(`The server of this model ${why} (${status}).`)
}

/** Whether the server has the model. One that has no list is believed. */
async function lookForModel(http: HttpServer, name: string, signal: AbortSignal): Promise<void> {
  const { status, text } = await http.get('/models', signal)
  const body = await text({ mostBytes: mostListBytes })
  if (status === 401 || status === 403) throw new NotReadyError(`The server of this model refuses its key (${status}).`)
  if (status === 404 || status === 405) return
  if (status !== 200) throw new NotReadyError(`The server of this model is not ready (${status}).`)
  const list = modelListSchema.safeParse(readJson(body))
  if (!list.success) throw new NotReadyError('The server of this model speaks something else than OpenAI’s API.')
  const ids = list.data.data.map(({ id }) => id)
  if (!ids.some((id) => isSameModel(id, name))) {
    const known = ids.slice(0, 10).join(', ') || 'none'
    throw new NotReadyError(`The server of this model has no ${name}; it has: ${known}.`)
  }
}

/** Ollama lists `llava:latest` and takes `llava`; ours lists names and takes `name@version`, too. */
function isSameModel(listed: string, asked: string): boolean {
  return listed === asked || listed === `${asked}:latest` || asked.startsWith(`${listed}@`)
}

/** The images' bytes; rejects with ImagesUnreadError where the job has addresses, which only engines here can read. */
function bytesOf({ images }: InferenceRequest): Uint8Array[] {
  return images.map((image) => {
    if (image instanceof Uint8Array) return image
    throw new ImagesUnreadError({ cause: new Error('a remote engine is given bytes') })
  })
}
