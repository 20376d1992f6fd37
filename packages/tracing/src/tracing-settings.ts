import { z } from 'zod'

/** Where traces go. The names are OpenTelemetry's own. */
export const tracingSettings = {
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .union([z.literal(''), z.url({ protocol: /^https?$/ })])
    .default('')
    .describe(
      'The address of an OpenTelemetry collector that takes OTLP over HTTP, such as http://127.0.0.1:4318: traces go to /v1/traces below it. Empty: nothing is traced. See docs/tracing.md.',
    ),
  OTEL_EXPORTER_OTLP_HEADERS: z
    .string()
    .refine((text) => text === '' || parseHeaders(text) !== null, 'expected name=value, separated by commas')
    .default('')
    .describe('Headers for the collector, such as a key: `name=value`, separated by commas.'),
  OTEL_TRACES_SAMPLER_ARG: z.coerce
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe(
      'The part of requests that is traced, 0 to 1. A request that comes with a `traceparent` is traced as that says.',
    ),
}

const schema = z.object(tracingSettings)
export type TracingSettings = z.infer<typeof schema>

/** Null where a piece is no `name=value`. */
export function parseHeaders(text: string): Record<string, string> | null {
  const pieces = text.split(',').filter((piece) => piece.trim() !== '')
  const pairs = pieces.map((piece) => /^\s*([\w-]+)\s*=\s*(.*?)\s*$/.exec(piece))
  if (pairs.includes(null)) return null
  return Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? '', decodeURIComponent(pair?.[2] ?? '')]))
}
