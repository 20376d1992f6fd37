import { parseArgs } from 'node:util'

import { keyIdSchema, type KeyLimits, type Scope, scopes, scopeSchema } from '@vision-queue/queue'
import { z } from 'zod'

import { UsageError } from './usage-error.ts'

/** What is asked for on the command line, after `vq keys`. */
export type KeyCommand =
  | { kind: 'create'; name: string; scopes: Scope[]; limits: KeyLimits; expiresAt: number | null }
  | { kind: 'list'; json: boolean }
  | { kind: 'revoke'; id: string }
  | { kind: 'help' }

export const usage = `vq keys create --name NAME --scopes ${scopes.join(',')} [limits]
    makes a key and prints it, once; only its hash is kept
    --expires-in-days N        it opens nothing after N days; without it, until it is revoked
    --requests-per-minute N    of any kind; without it, as many as the service takes
    --max-jobs N               unfinished at a time, of all models
    --max-bytes N              of the images of these jobs
vq keys list [--json]          all keys, revoked ones too; never the secrets
vq keys revoke ID              it opens nothing any more, within KEY_CACHE_MS of the API

The keys are in the Redis of REDIS_URL, default redis://127.0.0.1:6379.
`

const day = 24 * 3_600_000

function wholeNumber(most = Number.MAX_SAFE_INTEGER) {
  const expected = 'expected a whole number above 0'
  return z
    .string()
    .regex(/^[1-9]\d{0,15}$/, expected)
    .transform(Number)
    .refine((value) => value <= most, `expected at most ${most}`)
    .optional()
}

const createOptionsSchema = z.object({
  name: z.string('expected a name, up to 100 characters').min(1).max(100),
  scopes: z
    .string(`expected some of ${scopes.join(',')}`)
    .transform((text) => [...new Set(text.split(',').map((scope) => scope.trim()))])
    .pipe(z.array(scopeSchema).min(1)),
  'expires-in-days': wholeNumber(36_500),
  'requests-per-minute': wholeNumber(),
  'max-jobs': wholeNumber(),
  'max-bytes': wholeNumber(),
})

/** `now`: milliseconds since 1970. Throws UsageError. */
export function parseKeyCommand(args: readonly string[], now: number): KeyCommand {
  const [topic, command = '', ...rest] = args
  if (topic === undefined || topic === 'help' || args.includes('--help')) return { kind: 'help' }
  if (topic !== 'keys') throw new UsageError(`There is no ${topic}.`)
  switch (command) {
    case 'create': {
      const text = { type: 'string' } as const
      const names = Object.keys(createOptionsSchema.shape)
      const options = parse(rest, Object.fromEntries(names.map((name) => [name, text])), 0).values
      const parsed = createOptionsSchema.safeParse(options)
      if (!parsed.success) {
        throw new UsageError(
          parsed.error.issues.map(({ path, message }) => `--${String(path[0])}: ${message}`).join('\n'),
        )
      }
      const { name, scopes: granted, 'expires-in-days': days, ...limits } = parsed.data
      return {
        kind: 'create',
        name,
        scopes: granted,
        expiresAt: days === undefined ? null : now + days * day,
        limits: {
          requestsPerMinute: limits['requests-per-minute'] ?? null,
          maxJobs: limits['max-jobs'] ?? null,
          maxBytes: limits['max-bytes'] ?? null,
        },
      }
    }
    case 'list':
      return { kind: 'list', json: parse(rest, { json: { type: 'boolean' } }, 0).values['json'] === true }
    case 'revoke': {
      const id = keyIdSchema.safeParse(idIn(parse(rest, {}, 1).positionals[0]))
      if (!id.success) throw new UsageError('Which key? Its id is what follows vq_ in it, 12 letters and digits.')
      return { kind: 'revoke', id: id.data }
    }
    default:
      throw new UsageError('vq keys takes create, list or revoke.')
  }
}

/** The id itself, or that of a whole key, which is what people have at hand. */
function idIn(text: string | undefined): string | undefined {
  return /^vq_([^_]*)(?:_|$)/.exec(text ?? '')?.[1] ?? text
}

function parse(args: string[], options: Record<string, { type: 'string' | 'boolean' }>, positionals: number) {
  try {
    const parsed = parseArgs({ args, options, allowPositionals: positionals > 0, strict: true })
    if (parsed.positionals.length > positionals) throw new UsageError('There are too many words.')
    return parsed
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(error instanceof Error ? error.message : String(error))
  }
}
