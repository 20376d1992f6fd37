import { parseArgs } from 'node:util'

import { z } from 'zod'

/** What is wrong with the command line or with what it names, in words for the person who typed it. */
export class UsageError extends Error {}

/** A duration such as `30`, `30s`, `5m` or `1500ms`; plain numbers are seconds. In milliseconds. */
const durationSchema = z
  .string()
  .regex(/^\d+(\.\d+)?(ms|s|m|h)?$/, 'expected a duration such as 30s or 5m')
  .transform((text) => {
    const [, amount = '', unit = 's'] = /^([\d.]+)(ms|s|m|h)?$/.exec(text) ?? []
    return Number(amount) * ({ ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit] ?? 1000)
  })

const thinkSchema = z
  .string()
  .regex(/^\d+(\.\d+)?-\d+(\.\d+)?$/, 'expected seconds from-to, such as 0.5-2')
  .transform((text) => {
    const [min = 0, max = 0] = text.split('-').map(Number)
    return { min: min * 1000, max: max * 1000 }
  })
  .refine(({ min, max }) => min <= max, 'expected the shorter time first')

const inputSchema = z
  .string()
  .regex(/^[^=]+=/, 'expected NAME=VALUE')
  .transform((text): [string, string] => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)])

/** Every option with what it means; `--help` is written from it. */
const optionsSchema = z.object({
  url: z.url('expected an address such as http://127.0.0.1:3000').default('http://127.0.0.1:3000').describe('the API'),
  clients: z.coerce
    .number()
    .int()
    .min(1)
    .max(10_000)
    .optional()
    .describe('closed loop: so many clients, each with one request at a time (8 where there is no --rate)'),
  rate: z.coerce
    .number()
    .positive()
    .max(100_000)
    .optional()
    .describe('open loop: so many requests a second, whatever the answers; latency counts from when each was due'),
  arrivals: z
    .enum(['poisson', 'even'])
    .default('poisson')
    .describe('with --rate: as of independent callers, or evenly'),
  think: thinkSchema.optional().describe('MIN-MAX, with --clients: seconds before each request, such as 0.5-2'),
  images: z.string().optional().describe('a folder of JPEG, PNG and WebP files, sent in turn (required)'),
  model: z.string().optional().describe('name, name@version or name@alias (the API’s default model)'),
  question: z.string().optional().describe('the question, for models that take one'),
  input: z.array(inputSchema).default([]).describe('NAME=VALUE, another input of the model; may be repeated'),
  duration: durationSchema.default(30_000).describe('how long to measure, such as 30s or 5m (30s)'),
  'warm-up': durationSchema.default(2000).describe('load before that, which is not counted (2s)'),
  wait: z.coerce.number().int().min(1).max(60).default(60).describe('seconds to wait for an answer (60)'),
  repeat: z
    .boolean()
    .default(false)
    .describe(
      'send pictures as they are: again and again the same. Without it some bytes are added after the end of each, so that the result cache can’t answer',
    ),
  'api-key': z.string().optional().describe('sent as Authorization: Bearer <key>'),
  report: z.string().optional().describe('FILE.html to write, with charts'),
})
export type LoadOptions = z.infer<typeof optionsSchema>

/** Parses a command line; null where help is asked for. Throws UsageError with all that is wrong. */
export function parseOptions(args: readonly string[]): LoadOptions | null {
  const given = readArguments(args)
  if (given['help'] === true) return null
  const parsed = optionsSchema.safeParse(given)
  if (!parsed.success) {
    throw new UsageError(parsed.error.issues.map(({ path, message }) => `--${String(path[0])}: ${message}`).join('\n'))
  }
  const { clients, rate, think } = parsed.data
  if (clients !== undefined && rate !== undefined) {
    throw new UsageError('--clients and --rate exclude each other: a closed loop or an open one.')
  }
  if (think !== undefined && rate !== undefined) throw new UsageError('--think goes with --clients, not with --rate.')
  return parsed.data
}

export function helpText(): string {
  const names = Object.entries(optionsSchema.shape)
  const lines = names.map(([name, { description = '' }]) => `  --${name.padEnd(10)} ${description}`)
  return `Puts a load on a vision-queue API and reports throughput and latency.\n\n${lines.join('\n')}\n`
}

function readArguments(args: readonly string[]): Record<string, unknown> {
  const names = Object.keys(optionsSchema.shape)
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h' },
        ...Object.fromEntries(names.map((name) => [name, { type: 'string' }] as const)),
        repeat: { type: 'boolean' },
        input: { type: 'string', multiple: true },
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
