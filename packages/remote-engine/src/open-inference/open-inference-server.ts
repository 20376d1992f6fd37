import {
  type ExactTensor,
  tensorsOutputSchema,
  ownTensorsSchema,
  tensorsParametersSchema,
  parseInput,
  parseTensor,
  printTensor,
  refused,
  tooMuch,
  type WantedTensor,
} from '@vision-queue/engine/tensors'
import type { InferenceRequest, InferenceResult } from '@vision-queue/engine-pool'
import type { RemoteModel } from '@vision-queue/models'
import { type ModelManifest, VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import { readJson } from '../http-json.ts'
import { type HttpServer, openHttpServer } from '../http-server.ts'
import type { OpenServerOptions } from '../openai/openai-server.ts'
import { remoteManifest } from '../remote-manifest.ts'
import { NotReadyError, type RemoteServer } from '../remote-server.ts'
import { failureOf } from '../server-failure.ts'
import { readInferred, typeOf, writeInfer } from './tensor-wire.ts'

const tensorSchema = z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.int()) })
const modelSchema = z.object({ inputs: z.array(tensorSchema), outputs: z.array(tensorSchema) })
const serverSchema = z.object({ extensions: z.array(z.string()).catch([]) })
const mostMetadataBytes = 4 * 1024 * 1024
const jsonLengthHeader = 'inference-header-content-length'

/** What a server says of a model. */
interface Described {
  inputs: ReadonlyMap<string, WantedTensor>
  /** Those of numbers. */
  outputs: readonly string[]
  isBinary: boolean
  schema: ReturnType<typeof ownTensorsSchema>
  manifest: ModelManifest
}

/** A server of the Open Inference Protocol, version 2: Triton, OpenVINO Model Server, KServe's, MLServer. */
export function openInferenceServer({ model, key, timeoutMs }: OpenServerOptions): RemoteServer {
  const { origin, pathname } = new URL(model.engine.url)
  const http = openHttpServer({ url: `${origin}${pathname.replace(/\/+$/, '')}`, key, timeoutMs })
  const path = `/v2/models/${model.engine.model.split('/').map(encodeURIComponent).join('/')}`
  const secrets = [key ?? '', new URL(model.engine.url).host]
  let described: Described | null = null

  return {
    async look(signal) {
      await lookWhetherReady(http, '/v2/health/ready', signal)
      await lookWhetherReady(http, `${path}/ready`, signal)
      described ??= await describe(model, http, { path, signal })
      return described.manifest
    },
    async ask(request, { signal, onAccepted }) {
      if (described === null) throw new Error('the server was not looked at before it was asked')
      const { outputs, encoding } = parametersOf(request, described)
      const { body, jsonBytes } = writeInfer(
        tensorsOf(request, described),
        { outputs, isBinary: described.isBinary },
        unwritable,
      )
      const headers =
        jsonBytes === null
          ? { 'Content-Type': 'application/json' }
          : { 'Content-Type': 'application/octet-stream', [jsonLengthHeader]: String(jsonBytes) }
      const answer = await http.send({ method: 'POST', path: `${path}/infer`, body, headers, signal })
      if (answer.status !== 200) throw await failureOf(answer, secrets)
      onAccepted()
      const length = Number(answer.headers[jsonLengthHeader] ?? NaN)
      const found = readInferred(await answer.bytes(), Number.isNaN(length) ? null : length)
      return answerOf(found, outputs, { encoding, most: model.max_output_bytes })
    },
    close: http.close,
  }
}

async function lookWhetherReady(http: HttpServer, path: string, signal: AbortSignal): Promise<void> {
  const { status, text } = await http.get(path, signal)
  await text({ mostBytes: mostMetadataBytes, cut: true })
  if (status === 401 || status === 403) throw new NotReadyError(`The server of this model refuses its key (${status}).`)
  if (status !== 200) throw new NotReadyError(`The server of this model is not ready (${status}).`)
}

async function describe(
  model: RemoteModel,
  http: HttpServer,
  { path, signal }: { path: string; signal: AbortSignal },
): Promise<Described> {
  const read = async <S extends z.ZodType>(from: string, schema: S): Promise<z.infer<S>> => {
    const { status, text } = await http.get(from, signal)
    const parsed = schema.safeParse(readJson(await text({ mostBytes: mostMetadataBytes })))
    if (status === 200 && parsed.success) return parsed.data
    throw new NotReadyError('The server of this model speaks something else than the Open Inference Protocol.')
  }
  const { extensions } = await read('/v2', serverSchema)
  const metadata = await read(path, modelSchema)
  const isBinary = extensions.includes('binary_tensor_data')
  const inputs = new Map(
    metadata.inputs.map(({ name, datatype, shape }) => {
      const type = typeOf(datatype)
      if (type === null || (type === 'float16' && !isBinary)) {
        const how = type === null ? 'takes tensors that are no numbers' : 'takes half floats and no binary data'
        throw new VisionQueueError('model_unavailable', `The server's model ${how}: ${name} is ${datatype}.`)
      }
      return [name, { type, dims: shape.map((dim) => (dim < 0 ? null : dim)) }] as const
    }),
  )
  const outputs = metadata.outputs.flatMap(({ name, datatype }) => (typeOf(datatype) === null ? [] : [name]))
  const schema = ownTensorsSchema(inputs)
  const manifest = await remoteManifest(model, {
    images: { min: 0, max: 0 },
    input: schema,
    parameters: tensorsParametersSchema,
    output: tensorsOutputSchema,
  })
  return { inputs, outputs, isBinary, schema, manifest }
}

function parametersOf(request: InferenceRequest, { outputs: there }: Described) {
  const { outputs = there, encoding } = parseInput(tensorsParametersSchema, request.parameters, 'parameters')
  const missing = outputs.find((name) => !there.includes(name))
  if (missing !== undefined) throw refused('parameters.outputs', `${there.join(', ')} (there is no ${missing})`)
  return { outputs, encoding }
}

function tensorsOf(request: InferenceRequest, { inputs, schema }: Described): Record<string, ExactTensor> {
  const { tensors: sent = {} } = parseInput(schema, request.input, 'input')
  const parsed = [...inputs].map(([name, wanted]) => {
    const tensor = sent[name]
    if (tensor === undefined) throw refused(`input.tensors.${name}`, wanted.type)
    return [name, parseTensor(tensor, wanted, `input.tensors.${name}`)] as const
  })
  return Object.fromEntries(parsed)
}

function unwritable(name: string): VisionQueueError {
  return refused(`input.tensors.${name}`, 'numbers that JSON has, as the server takes no binary data')
}

function answerOf(
  found: Readonly<Record<string, ExactTensor>>,
  wanted: readonly string[],
  { encoding, most }: { encoding: 'numbers' | 'base64'; most: number },
): InferenceResult['output'] {
  const bytes = Object.values(found).reduce((sum, tensor) => sum + tensor.bytes.length, 0)
  if (bytes > most) throw tooMuch(bytes, most)
  const printed = wanted.map((name) => {
    const tensor = found[name]
    if (tensor === undefined) throw new Error(`the server did not answer ${name}`)
    return [name, printTensor(tensor, encoding)] as const
  })
  return { outputs: Object.fromEntries(printed) }
}
