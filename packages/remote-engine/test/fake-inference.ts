import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'

import { z } from 'zod'

/** A server of the Open Inference Protocol, version 2, that refuses whatever the protocol doesn't have. */
export interface FakeInference {
  url: string
  /** Whether it has the extension for binary data. */
  isBinary: boolean
  /** What becomes of the next request instead of its answer. */
  failure: { status: number; body: unknown } | null
  isReady: boolean
  /** Of the model's metadata. */
  datatypes: { x: string; n: string }
  /** How many requests there were with binary data, and without. */
  asked: { binary: number; json: number }
  close: () => Promise<void>
}

const sizes: Record<string, number> = { FP32: 4, INT64: 8 }
const inputSchema = z.strictObject({
  name: z.enum(['x', 'n']),
  shape: z.array(z.int().min(1)),
  datatype: z.enum(['FP32', 'INT64']),
  parameters: z.strictObject({ binary_data_size: z.int() }).optional(),
  data: z.array(z.number()).optional(),
})
const requestSchema = z.strictObject({
  id: z.string().optional(),
  inputs: z.array(inputSchema).length(2),
  outputs: z
    .array(
      z.strictObject({
        name: z.enum(['doubled', 'same']),
        parameters: z.strictObject({ binary_data: z.boolean() }).optional(),
      }),
    )
    .optional(),
})
type Input = z.infer<typeof inputSchema>

/** `doubled` is twice `x`, `same` is `n`. */
export async function startFakeInference(): Promise<FakeInference> {
  const fake: FakeInference = {
    url: '',
    isBinary: true,
    failure: null,
    isReady: true,
    datatypes: { x: 'FP32', n: 'INT64' },
    asked: { binary: 0, json: 0 },
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  const server = createServer((request, response) => {
    void serve(fake, request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  fake.url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  return fake
}

async function serve(fake: FakeInference, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const { status, body, jsonBytes } = await answer(fake, request)
    const binary = jsonBytes === undefined ? {} : { 'Inference-Header-Content-Length': String(jsonBytes) }
    response.writeHead(status, { 'Content-Type': 'application/json', ...binary })
    response.end(Buffer.isBuffer(body) ? body : JSON.stringify(body))
  } catch (error) {
    response.writeHead(400).end(JSON.stringify({ error: String(error) }))
  }
}

interface Answer {
  status: number
  body: unknown
  jsonBytes?: number
}

async function answer(fake: FakeInference, request: IncomingMessage): Promise<Answer> {
  const ready = { status: fake.isReady ? 200 : 400, body: {} }
  switch (`${request.method} ${request.url}`) {
    case 'GET /v2/health/ready':
    case 'GET /v2/models/double/ready':
      return ready
    case 'GET /v2':
      return {
        status: 200,
        body: { name: 'fake', version: '1', extensions: fake.isBinary ? ['binary_tensor_data'] : [] },
      }
    case 'GET /v2/models/double':
      return {
        status: 200,
        body: {
          name: 'double',
          versions: ['1'],
          platform: 'fake',
          inputs: [
            { name: 'x', datatype: fake.datatypes.x, shape: [-1, 2] },
            { name: 'n', datatype: fake.datatypes.n, shape: [1] },
          ],
          outputs: [
            { name: 'doubled', datatype: 'FP32', shape: [-1, 2] },
            { name: 'same', datatype: 'INT64', shape: [1] },
            { name: 'words', datatype: 'BYTES', shape: [1] },
          ],
        },
      }
    case 'POST /v2/models/double/infer': {
      if (fake.failure !== null) return fake.failure
      return infer(fake, await buffer(request), request.headers['inference-header-content-length'])
    }
    default:
      return { status: 404, body: { error: `no ${request.url}` } }
  }
}

function infer(fake: FakeInference, body: Buffer, header: string | string[] | undefined): Answer {
  const jsonBytes = typeof header === 'string' ? Number(header) : null
  if (jsonBytes !== null && !fake.isBinary) throw new Error('there is no binary data here')
  fake.asked[jsonBytes === null ? 'json' : 'binary'] += 1
  const { inputs, outputs = [{ name: 'doubled' }, { name: 'same' }] } = requestSchema.parse(
    JSON.parse(body.subarray(0, jsonBytes ?? body.length).toString()),
  )
  let at = jsonBytes ?? body.length
  const tensors = new Map<string, { input: Input; bytes: Buffer }>()
  for (const input of inputs) {
    const bytes = bytesOf(input, body.subarray(at))
    at += input.parameters?.binary_data_size ?? 0
    if (bytes.length !== input.shape.reduce((a, b) => a * b, 1) * (sizes[input.datatype] ?? 0))
      throw new Error('a wrong size')
    tensors.set(input.name, { input, bytes })
  }
  if (at !== body.length) throw new Error('bytes that belong to no tensor')
  return answerTensors(
    outputs.map(({ name, parameters }) => {
      const { input, bytes } = tensors.get(name === 'doubled' ? 'x' : 'n') ?? {}
      if (input === undefined || bytes === undefined) throw new Error('an input is missing')
      const own = Buffer.from(bytes)
      if (name === 'doubled') for (let i = 0; i < own.length; i += 4) own.writeFloatLE(2 * own.readFloatLE(i), i)
      return { name, input, own, isBinary: parameters?.binary_data === true }
    }),
  )
}

function bytesOf({ datatype, data, parameters }: Input, rest: Buffer): Buffer {
  if (parameters !== undefined) return rest.subarray(0, parameters.binary_data_size)
  const bytes = Buffer.alloc((data ?? []).length * (sizes[datatype] ?? 0))
  for (const [index, value] of (data ?? []).entries()) {
    if (datatype === 'FP32') bytes.writeFloatLE(value, 4 * index)
    else bytes.writeBigInt64LE(BigInt(value), 8 * index)
  }
  return bytes
}

function answerTensors(tensors: { name: string; input: Input; own: Buffer; isBinary: boolean }[]): Answer {
  const outputs = tensors.map(({ name, input: { shape, datatype }, own, isBinary }) => ({
    name,
    shape,
    datatype,
    ...(isBinary
      ? { parameters: { binary_data_size: own.length } }
      : {
          data: Array.from({ length: own.length / (sizes[datatype] ?? 1) }, (_, index) =>
            datatype === 'FP32' ? own.readFloatLE(4 * index) : Number(own.readBigInt64LE(8 * index)),
          ),
        }),
  }))
  const json = Buffer.from(JSON.stringify({ model_name: 'double', model_version: '1', outputs }))
  const binary = tensors.filter(({ isBinary }) => isBinary).map(({ own }) => own)
  if (binary.length === 0) return { status: 200, body: json }
  return { status: 200, body: Buffer.concat([json, ...binary]), jsonBytes: json.length }
}
