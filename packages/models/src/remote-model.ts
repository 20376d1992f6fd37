import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { describeFields, fieldErrors } from '@vision-queue/protocol'
import { z } from 'zod'

import type { ModelLocation } from './find-model.ts'
import { unavailable } from './folder-files.ts'

/** Keys come from variables of the environment with this at the front of their name, and from no others. */
export const remoteKeyPrefix = 'REMOTE_ENGINE_KEY_'

const urlSchema = z.string().superRefine((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol)) context.addIssue('an address with http:// or https://')
  else if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    context.addIssue('an address without a user, a query and a fragment; a key goes into api_key_env')
})

/** Where a model runs that does not run here. */
const remoteEngineSchema = z.strictObject({
  kind: z
    .enum(['openai', 'open-inference'])
    .describe('what the server speaks: the API of OpenAI for chats, or the Open Inference Protocol, version 2'),
  url: urlSchema.describe('of the server; for openai up to and with /v1, which is added where there is no path'),
  model: z.string().min(1).max(512).describe("the model's name there"),
  api_key_env: z
    .string()
    .regex(/^REMOTE_ENGINE_KEY_[A-Z0-9_]{1,64}$/, `the name of a variable that begins with ${remoteKeyPrefix}`)
    .optional()
    .describe('the variable of the consumer’s environment that has the key for the server'),
  max_in_flight: z
    .int()
    .min(1)
    .max(4096)
    .default(64)
    .describe('the most jobs of each priority that are at the server at once, however well it takes them'),
  timeout_ms: z
    .int()
    .min(100)
    .max(3_600_000)
    .optional()
    .describe('after so long without a word the server counts as stuck; RUN_TIMEOUT_MS'),
})
export type RemoteEngine = z.infer<typeof remoteEngineSchema>

/** What holds where a caller says nothing. */
const chatDefaultsSchema = z.strictObject({
  max_new_tokens: z.int().min(1).max(131_072).default(512),
  temperature: z.number().min(0).max(100).default(0),
  top_p: z.number().gt(0).max(1).default(1),
  top_k: z.int().min(0).default(0),
  min_p: z.number().min(0).max(1).default(0),
  repetition_penalty: z.number().min(0.1).max(10).default(1),
  no_repeat_ngram_size: z.int().min(0).max(64).default(0),
})

/** What each kind of server is for. */
const tasks = { openai: 'image-text-to-text', 'open-inference': 'tensors' } as const satisfies Record<
  RemoteEngine['kind'],
  string
>

/** The model.json of a folder whose model runs elsewhere: these fields and no others. */
const remoteModelJsonSchema = z
  .strictObject({
    engine: remoteEngineSchema,
    task: z.string().optional().describe('image-text-to-text for openai, tensors for open-inference'),
    max_images: z.int().min(0).max(16).default(16).describe('openai: the most images of a job'),
    defaults: chatDefaultsSchema.prefault({}).describe('openai: parameters where a job has none'),
    max_output_bytes: z
      .int()
      .min(1)
      .max(256 * 1024 * 1024)
      .default(4 * 1024 * 1024)
      .describe('open-inference: the most bytes of outputs that a job gets'),
    cache: z.boolean().default(true).describe('whether an answer may serve later jobs that ask the same'),
  })
  .superRefine(({ engine, task }, context) => {
    const own = tasks[engine.kind]
    if (task !== undefined && task !== own) {
      context.addIssue({ code: 'custom', path: ['task'], message: `${own}, which ${engine.kind} is for, or nothing` })
    }
  })

/** A model that runs on a server elsewhere, as its folder says. */
export type RemoteModel = z.infer<typeof remoteModelJsonSchema> & ModelLocation & { task: string }

/**
 * What the folder says of a server, or null where its model runs here: no model.json, one that can't be read, or one
 * without `engine`. Throws `model_unavailable` naming the field. The file is small, and whoever opens a pool can't wait.
 */
export function readRemoteModel(location: ModelLocation): RemoteModel | null {
  const json = readModelJson(location)
  if (!hasEngine(json)) return null
  const parsed = remoteModelJsonSchema.safeParse(json)
  if (!parsed.success) {
    const { name, version } = location
    throw unavailable(`${name}/${version}/model.json: ${describeFields(fieldErrors(parsed.error))}`, parsed.error)
  }
  const { name, version, folder } = location
  return { ...parsed.data, name, version, folder, task: tasks[parsed.data.engine.kind] }
}

/** Whether a model runs on this machine: its folder names no server, rightly or wrongly. */
export function runsHere(location: ModelLocation): boolean {
  return !hasEngine(readModelJson(location))
}

/** Null where it can't be read: what is wrong with it is told by who reads it as a model of this machine. */
function readModelJson({ folder }: ModelLocation): unknown {
  try {
    return JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8'))
  } catch {
    return null
  }
}

function hasEngine(json: unknown): boolean {
  return typeof json === 'object' && json !== null && 'engine' in json
}
