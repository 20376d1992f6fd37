export { contextIn, contextOf, traceparentOf } from './trace-context.ts'
export { openTracing, type Tracing } from './tracing.ts'
export { tracingSettings, type TracingSettings } from './tracing-settings.ts'
export { type Context, type Link, type Span, SpanKind, SpanStatusCode } from '@opentelemetry/api'
