import { once } from 'node:events'
import { createServer } from 'node:http'

import { final, forms } from '@vision-queue/test-support/client'
import { jobResponseSchema } from '@vision-queue/protocol'
import { readExamples } from '@vision-queue/test-support/examples'
import { freePort } from '@vision-queue/local/free-port'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

const spanSchema = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  links: z.array(z.object({ traceId: z.string(), spanId: z.string() })).default([]),
})
type Span = z.infer<typeof spanSchema>
const exportSchema = z.object({
  resourceSpans: z.array(z.object({ scopeSpans: z.array(z.object({ spans: z.array(spanSchema) })) })),
})

/** What the collector has been sent. */
const spans: Span[] = []
const collector = createServer((request, response) => {
  const pieces: Buffer[] = []
  request.on('data', (piece: Buffer) => pieces.push(piece))
  request.on('end', () => {
    const { resourceSpans } = exportSchema.parse(JSON.parse(Buffer.concat(pieces).toString('utf8')))
    spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans: sent }) => sent)))
    response.end('{}')
  })
})
let system: System

beforeAll(async () => {
  const port = await freePort()
  collector.listen(port, '127.0.0.1')
  await once(collector, 'listening')
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` }
  system = await startSystem({ apiEnv: env, consumerEnv: { ...env, ENGINES: '1' } })
})
afterAll(async () => {
  await system.stop()
  collector.close()
})

test('one trace leads from the request of a job through queue and engine to its delivery, and links to its batch', async () => {
  const [example] = readExamples()
  if (example === undefined) throw new Error('There are no examples.')
  const [traceId, spanId] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']
  const accepted = await forms.raw(system.url, example, { traceparent: `00-${traceId}-${spanId}-01` })
  const { id } = jobResponseSchema.parse(await accepted.json())
  expect(await final(system.url, id)).toMatchObject({ status: 'succeeded' })
  const named = (name: string): Span | undefined => spans.find((span) => span.traceId === traceId && span.name === name)
  await until(
    () => ['POST /jobs', 'shapes-vqa job', 'delivery'].every((name) => named(name) !== undefined),
    'the collector has the trace',
    () => spans.map(({ name }) => name).join('\n'),
  )
  const request = named('POST /jobs')
  const job = named('shapes-vqa job')
  expect(request?.parentSpanId).toBe(spanId)
  expect(job?.parentSpanId).toBe(request?.spanId)
  expect(named('shapes-vqa queue')?.parentSpanId).toBe(request?.spanId)
  const inside = spans.filter(({ parentSpanId }) => parentSpanId === job?.spanId).map(({ name }) => name)
  expect(inside).toEqual(['fetch', 'preprocess', 'batch wait', 'inference', 'delivery'])
  const inference = named('inference')
  const isBatch = ({ name, links }: Span): boolean =>
    name === 'shapes-vqa batch' && links.some((link) => link.spanId === inference?.spanId)
  await until(() => spans.some(isBatch), 'the batch is told, with a link to the job')
  const batch = spans.find(isBatch)
  expect(batch?.traceId).not.toBe(traceId)
  expect(inference?.links).toEqual([{ traceId: batch?.traceId, spanId: batch?.spanId }])
})

test('a job without a trace of its caller’s begins one, and scrapes and probes are not traced', async () => {
  const [, example] = readExamples()
  if (example === undefined) throw new Error('There are no examples.')
  const accepted = await forms.raw(system.url, example)
  const { id } = jobResponseSchema.parse(await accepted.json())
  await final(system.url, id)
  await fetch(`${system.url}/metrics`)
  const whole = (): Span | undefined =>
    spans.find(({ name, parentSpanId, traceId }) => {
      const ofTrace = spans.filter((span) => span.traceId === traceId).map((span) => span.name)
      return name === 'POST /jobs' && parentSpanId === undefined && ofTrace.includes('delivery')
    })
  await until(() => whole() !== undefined, 'the collector has the whole trace')
  expect(spans.filter(({ name }) => /metrics|health/.test(name))).toEqual([])
})
