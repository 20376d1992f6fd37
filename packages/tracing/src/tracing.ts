import type { Tracer } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base'
import { release } from '@vision-queue/process'

import { parseHeaders, type TracingSettings } from './tracing-settings.ts'

/** Spans of a process on their way to a collector. */
export interface Tracing {
  tracer: Tracer
  /** Sends what is left, for two seconds at most. Never rejects: a collector that is away must hold nobody. */
  close(): Promise<void>
}

const closeMs = 2000

/**
 * Sends spans to the collector that the settings name, in batches beside everything else; those that it doesn't take
 * are dropped. Null where none is named: nothing is traced. Nothing global is registered, and libraries are not
 * patched: every span is one that we make.
 * @param service Such as `vision-queue-api`.
 */
export function openTracing(settings: TracingSettings, service: string): Tracing | null {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_HEADERS: headers } = settings
  if (endpoint === '') return null
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/$/, '')}/v1/traces`,
    headers: parseHeaders(headers) ?? {},
    timeoutMillis: 5000,
  })
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, 'service.version': release }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(settings.OTEL_TRACES_SAMPLER_ARG) }),
    spanProcessors: [new BatchSpanProcessor(exporter, { scheduledDelayMillis: 2000 })],
  })
  return {
    tracer: provider.getTracer('vision-queue', release),
    async close() {
      const sent = provider.shutdown().catch(() => {})
      await Promise.race([sent, new Promise((resolve) => setTimeout(resolve, closeMs).unref())])
    },
  }
}
