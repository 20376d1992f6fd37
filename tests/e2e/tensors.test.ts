import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { FLOAT, INT64, model, node, value } from '@vision-queue/models/test/onnx-writer'
import { jobResponseSchema } from '@vision-queue/protocol'
import { startSystem, type System } from '@vision-queue/test-support/system'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

let repository: string
let system: System

const graph = model(
  node('Add', ['ids', 'ids'], 'twice'),
  node('Identity', ['pixel_values'], 'pixels'),
  value(11, 'ids', INT64, ['batch', 'length']),
  value(11, 'pixel_values', FLOAT, ['batch', 3, 1, 1]),
  value(12, 'twice', INT64, ['batch', 'length']),
  value(12, 'pixels', FLOAT, ['batch', 3, 1, 1]),
)

beforeAll(async () => {
  repository = await mkdtemp(join(tmpdir(), 'tensors-'))
  const folder = join(repository, 'any', '1')
  await mkdir(join(folder, 'onnx'), { recursive: true })
  await writeFile(join(folder, 'onnx', 'model.onnx'), graph)
  const preprocessing = { do_normalize: false, size: { height: 1, width: 1 } }
  await writeFile(join(folder, 'model.json'), JSON.stringify({ task: 'tensors', preprocessing }))
  const env = { MODELS: '', MODEL_REPOSITORY: repository, ENGINES: '1' }
  system = await startSystem({ consumerEnv: env })
})
afterAll(async () => {
  await system.stop()
  await rm(repository, { recursive: true })
})

async function ask(input: object, parameters: object = {}): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${system.url}/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=30' },
    body: JSON.stringify({ model: 'any', input, parameters }),
  })
  return { status: response.status, body: await response.json() }
}

test('a job of tensors goes through the queue to the bit, with an image or without', async () => {
  const ids = { data: [['4503599627370497', 16777217]] }
  const pixel_values = { shape: [1, 3, 1, 1], data: [0.25, 'NaN', 3] }
  const alone = jobResponseSchema.parse((await ask({ tensors: { ids, pixel_values } })).body)
  expect(alone.output).toEqual({
    outputs: {
      twice: { dtype: 'int64', shape: [1, 2], data: ['9007199254740994', '33554434'] },
      pixels: { dtype: 'float32', shape: [1, 3, 1, 1], data: [0.25, 'NaN', 3] },
    },
  })
  const red = await sharp({ create: { width: 4, height: 4, channels: 3, background: 'red' } })
    .png()
    .toBuffer()
  const beside = jobResponseSchema.parse(
    (await ask({ image: red.toString('base64'), tensors: { ids } }, { outputs: ['pixels'] })).body,
  )
  expect(beside.output).toEqual({ outputs: { pixels: { dtype: 'float32', shape: [1, 3, 1, 1], data: [1, 0, 0] } } })
})

test('what does not fit the graph is refused by the name of its tensor before it is queued', async () => {
  const refusal = z.object({ code: z.string(), errors: z.array(z.object({ field: z.string() })) })
  const { status, body } = await ask({ tensors: { ids: { dtype: 'int32', data: [[1]] }, other: { data: [] } } })
  expect(status).toBe(422)
  const { code, errors } = refusal.parse(body)
  expect(code).toBe('invalid_input')
  expect(errors.map(({ field }) => field).toSorted()).toEqual(['input.tensors.ids.dtype', 'input.tensors.other'])
})
