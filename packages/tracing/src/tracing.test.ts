import { expect, test } from 'vitest'

import { contextOf, openTracing, traceparentOf } from './index.ts'
import { parseHeaders } from './tracing-settings.ts'

const settings = { OTEL_EXPORTER_OTLP_ENDPOINT: '', OTEL_EXPORTER_OTLP_HEADERS: '', OTEL_TRACES_SAMPLER_ARG: 1 }
const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

test('without a collector nothing is traced', () => {
  expect(openTracing(settings, 'test')).toBeNull()
})

test('a span that follows a traceparent is in its trace, and is passed on as one', async () => {
  const tracing = openTracing({ ...settings, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }, 'test')
  const span = tracing?.tracer.startSpan('inside', {}, contextOf(parent))
  if (span === undefined) throw new Error('not traced')
  expect(traceparentOf(span)).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/)
  expect(traceparentOf(span)).not.toBe(parent)
  span.end()
  // A collector that is away holds nobody.
  await tracing?.close()
})

test('a request that says that it is not traced is not, and its traceparent says so on', async () => {
  const tracing = openTracing({ ...settings, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }, 'test')
  const span = tracing?.tracer.startSpan('inside', {}, contextOf(parent.replace(/01$/, '00')))
  if (span === undefined) throw new Error('not traced')
  expect([span.isRecording(), traceparentOf(span).slice(-2)]).toEqual([false, '00'])
  await tracing?.close()
})

test('headers for the collector are name=value', () => {
  expect(parseHeaders('api-key=a%20b, x-team = vision')).toEqual({ 'api-key': 'a b', 'x-team': 'vision' })
  expect(parseHeaders('nonsense')).toBeNull()
})
