import { type Context, ROOT_CONTEXT, type Span, type SpanContext, trace } from '@opentelemetry/api'

const traceparentPattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

/** The context that a valid `traceparent` (W3C Trace Context) stands for; null stands for the beginning of a trace. */
export function contextOf(traceparent: string | null): Context {
  const [, traceId, spanId, flags] = traceparentPattern.exec(traceparent ?? '') ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return ROOT_CONTEXT
  return contextIn({ traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true })
}

/** The context of what happens inside a span. */
export function contextIn(span: SpanContext): Context {
  return trace.setSpanContext(ROOT_CONTEXT, span)
}

/** A span as the `traceparent` of what happens inside it elsewhere. */
export function traceparentOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext()
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
}
