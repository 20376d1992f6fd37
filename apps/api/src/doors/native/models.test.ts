import { expect, test } from 'vitest'

import { modelDetailSchema } from './model-response.ts'
import { servedModel } from '../../test-support/served-models.ts'
import { problemOf, startApi } from '../../test-support/start-api.ts'

test('models are listed by name with their versions, schemas and consumers', async () => {
  const api = await startApi()
  api.models.models = [
    servedModel({ name: 'tiny-clip', version: '1' }, 0),
    servedModel({ version: '2', variant: 'fp32' }, 0),
    servedModel({ version: '1' }, 2),
  ]
  const body: unknown = await (await fetch(`${api.url}/models`)).json()
  expect(body).toMatchObject({
    models: [
      {
        name: 'shapes-vqa',
        task: 'visual-question-answering',
        version: '1',
        versions: ['2', '1'],
        variants: ['fp32', 'int8'],
        provider: 'cpu',
        labels: ['red', 'green'],
        input: {
          required: ['image', 'question'],
          properties: { image: { type: 'string' } },
          additionalProperties: false,
        },
        consumers: 2,
        max_batch_size: 16,
        status: 'ready',
      },
      { name: 'tiny-clip', consumers: 0, status: 'no_consumers' },
    ],
  })
})

test('a model that only failed is shown with its reason, versions with theirs, and aliases', async () => {
  const api = await startApi()
  const failed = { status: 'failed', error: 'config.json is no JSON.', reported: true } as const
  api.models.models = [
    { ...servedModel({ version: '1' }), aliases: ['stable'] },
    { ...servedModel({ version: '2' }, 0), ...failed },
    { ...servedModel({ name: 'bad' }, 0), ...failed, manifest: null },
  ]
  const body: unknown = await (await fetch(`${api.url}/models`)).json()
  expect(body).toMatchObject({
    models: [
      { name: 'bad', status: 'failed', error: 'config.json is no JSON.', task: null, input: null, consumers: 0 },
      {
        name: 'shapes-vqa',
        status: 'ready',
        error: null,
        version: '1',
        aliases: { stable: '1' },
        version_details: [
          { version: '2', status: 'failed', error: 'config.json is no JSON.', consumers: 0 },
          { version: '1', status: 'ready', error: null, aliases: ['stable'], consumers: 1 },
        ],
      },
    ],
  })
})

test('one model is shown with the figures of each consumer', async () => {
  const api = await startApi()
  api.models.models = [servedModel({}, 2)]
  const detail = modelDetailSchema.parse(await (await fetch(`${api.url}/models/shapes-vqa`)).json())
  expect(detail.consumer_stats).toMatchObject([
    {
      id: 'consumer-0',
      version: '1',
      batches: { '1': 3, '8': 1 },
      jobs: { succeeded: 9, failed: 1 },
      mean_inference_ms: 20,
      launches: { reasons: { idle: 3, full: 1 }, mean_predicted_ms: 17.5, mean_actual_ms: 21 },
      cost: { fixed_ms: 2, per_item_ms: 4, p99_over_ms: 3, batch_size: 16 },
      capacity: 200,
    },
    {
      id: 'consumer-1',
      batches: {},
      mean_inference_ms: null,
      launches: { reasons: {}, mean_predicted_ms: null, mean_actual_ms: null },
      cost: null,
      capacity: null,
    },
  ])
})

test.each([
  [{ basis: 'setting', reason: 'VARIANT is set', at: null }, 'VARIANT is set'],
  [{ basis: 'model_json', reason: 'model.json names it', at: null }, 'model.json names it'],
  [{ basis: 'capability', reason: 'the CPU has avx_vnni', at: null }, 'by capability: the CPU has avx_vnni'],
  [
    { basis: 'fleet', reason: 'the CPU has avx_vnni', at: 1_750_000_000_000 },
    'recorded by the fleet at 2025-06-15T15:06:40.000Z, by capability: the CPU has avx_vnni',
  ],
] as const)('a variant is shown with why it runs: %j', async (choice, shown) => {
  const api = await startApi()
  api.models.models = [servedModel({ choice: { graph: 'int8', ...choice } })]
  const detail = modelDetailSchema.parse(await (await fetch(`${api.url}/models/shapes-vqa`)).json())
  expect(detail.version_details).toMatchObject([{ variant: 'int8', variant_reason: shown }])
  expect(detail.consumer_stats).toMatchObject([{ variant: 'int8', variant_reason: shown, provider: 'cpu' }])
})

test('variants that consumers do not share are all shown, and who runs which', async () => {
  const api = await startApi()
  const [int8, fp32] = [servedModel(), servedModel({ variant: 'fp32' })]
  api.models.models = [{ ...int8, consumers: [...int8.consumers, ...fp32.consumers] }]
  const detail = modelDetailSchema.parse(await (await fetch(`${api.url}/models/shapes-vqa`)).json())
  expect(detail.variants).toEqual(['int8', 'fp32'])
  expect(detail.consumer_stats.map(({ variant }) => variant)).toEqual(['int8', 'fp32'])
})

test('a model whose engines can not be started is shown with the reason and when they are tried again', async () => {
  const api = await startApi()
  const [error, retryAt] = ['The engine ended while loading (signal SIGKILL).', 1_750_000_000_000]
  api.models.models = [{ ...servedModel({}, 0), status: 'loading', error, retryAt }]
  const detail = modelDetailSchema.parse(await (await fetch(`${api.url}/models/shapes-vqa`)).json())
  expect(detail).toMatchObject({ status: 'loading', error, retry_at: '2025-06-15T15:06:40.000Z' })
  expect(detail.version_details).toMatchObject([{ status: 'loading', error, retry_at: '2025-06-15T15:06:40.000Z' }])
})

test('a version that is loading tells what it does and since when; one that is not tells nothing', async () => {
  const api = await startApi()
  const loading = { step: 'opening', at: 2, of: 3, since: 1_750_000_000_000 } as const
  api.models.models = [servedModel(), { ...servedModel({ version: '2' }, 0), status: 'loading', loading }]
  const detail = modelDetailSchema.parse(await (await fetch(`${api.url}/models/shapes-vqa`)).json())
  expect(detail.version_details.map((version) => [version.version, version.loading])).toEqual([
    ['2', { ...loading, since: '2025-06-15T15:06:40.000Z' }],
    ['1', null],
  ])
})

test('an unknown model is 404 and the answer lists what there is', async () => {
  const api = await startApi()
  const problem = await problemOf(await fetch(`${api.url}/models/cats`))
  expect([problem.status, problem.code]).toEqual([404, 'model_not_found'])
  expect(problem.detail).toContain('shapes-vqa@1')
})

test('Redis away is 503', async () => {
  const api = await startApi()
  api.models.down = true
  for (const path of ['/models', '/models/shapes-vqa']) {
    expect((await problemOf(await fetch(api.url + path))).code).toBe('queue_unavailable')
  }
})
