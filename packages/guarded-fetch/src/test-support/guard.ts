import { createGuardedFetch, type GuardedFetch, type GuardedFetchOptions } from '../guarded-fetch.ts'

/** The start of what counts as an image here: eight bytes. */
export const start = Buffer.from('GOODTYPE')

/** A guard that lets through to 127.0.0.1 alone, where every name leads. */
export function openGuard(port: number, options: Partial<GuardedFetchOptions> = {}): GuardedFetch {
  const isAllowed = (address: string): boolean => address === '127.0.0.1'
  return createGuardedFetch({ ...guardOptions(port), isAllowed, ...options })
}

/** The same, with the package's own judgement of addresses. */
export function guardOptions(port: number): GuardedFetchOptions {
  return {
    protocols: ['http:'],
    ports: [port],
    hosts: [],
    timeoutMs: 10_000,
    maxBytes: 100_000,
    accept: { contentTypes: ['image/test'], startBytes: 8, startsRight: (bytes) => start.equals(bytes) },
    userAgent: 'test',
    resolve: async () => ['127.0.0.1'],
  }
}

/** What lay behind an outcome, for the operator. */
export function causeOf(outcome: object): string {
  return 'cause' in outcome && outcome.cause instanceof Error ? outcome.cause.message : JSON.stringify(outcome)
}
