import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

import { isOwnAddress, isPublicAddress } from './address-rules.ts'
import { requestPinned } from './request-pinned.ts'
import { createResolveName, type ResolveName } from './resolve-name.ts'
import { parseTarget, type Target, type UrlRules } from './url-rules.ts'

export interface GuardedFetchOptions extends UrlRules {
  /** From the call to the last byte, names, redirects and all, in milliseconds. */
  timeoutMs: number
  /** The largest body, in bytes; counted while it comes. */
  maxBytes: number
  /** How many redirects are followed; 0: none. Default 3. */
  maxRedirects?: number
  /** Which bodies are taken. One that isn't is dropped as soon as that shows. */
  accept: {
    /** Media types in lower case. An answer without Content-Type goes by its bytes alone. */
    contentTypes: readonly string[]
    /** Whether a body may begin so; given its first `startBytes` bytes, or all of a shorter one. */
    startBytes: number
    startsRight: (start: Uint8Array) => boolean
  }
  userAgent: string
  /** Whether a connection to this IP address may be made. Default: public ones that are not this machine's own. */
  isAllowed?: (address: string) => boolean
  /** Default: the DNS servers of this machine. */
  resolve?: ResolveName
  /** PEM certificates of authorities to trust in place of Node's. */
  ca?: string
}

export type FetchOutcome =
  | { kind: 'fetched'; bytes: Buffer }
  /** The text of the address alone says that it isn't taken; `expected` can be told to who sent it. */
  | { kind: 'address_refused'; expected: string }
  /** One outcome for what may not be reached and what can't, the reason for the operator only. */
  | { kind: 'unreachable'; cause: unknown }
  /** A server that may be reached answered with another status than 200. */
  | { kind: 'unexpected_status'; status: number }
  | { kind: 'wrong_type' }
  | { kind: 'too_large' }

/** What ends a fetch early. Every AbortSignal is one. */
export interface FetchSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** Never rejects. The signal ends it early, as unreachable. */
export type GuardedFetch = (address: string, options?: { signal?: FetchSignal }) => Promise<FetchOutcome>

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** Checking costs time for each, and whoever runs the name's server says how many there are. */
const maxAddresses = 32

/**
 * Fetches from addresses that strangers give, so that they learn and reach nothing by it that they couldn't from their
 * own machine. The name is resolved once for each connection, every address it has must be allowed, and the connection
 * goes to one of exactly these; a redirect begins anew. Holds nothing between calls and has no limit on their number:
 * that is the caller's, who knows how much memory `maxBytes` of each may take.
 */
export function createGuardedFetch(options: GuardedFetchOptions): GuardedFetch {
  const { timeoutMs, maxBytes, maxRedirects = 3, accept, userAgent, resolve = createResolveName(), ca } = options
  const { isAllowed = (address) => isPublicAddress(address) && !isOwnAddress(address) } = options
  const headers = { 'User-Agent': userAgent, Accept: accept.contentTypes.join(', '), 'Accept-Encoding': 'identity' }
  // A fair framing in chunks adds a few per cent; single bytes in chunks of their own five times the body.
  const maxWireBytes = maxBytes + maxBytes / 8 + 65_536

  const addressesOf = async ({ hostname }: Target, signal: AbortSignal): Promise<[string, ...string[]]> => {
    const addresses = isIP(hostname) === 0 ? await unlessAborted(resolve(hostname, signal), signal) : [hostname]
    if (addresses.length > maxAddresses) throw new Error('the host has too many addresses')
    const [first, ...others] = addresses
    // One that is refused condemns the name: of an honest one all are public.
    if (first === undefined || !addresses.every(isAllowed)) throw new Error('the host has an address that is refused')
    return [first, ...others]
  }

  const follow = async (address: string, ended: AbortController): Promise<FetchOutcome> => {
    const first = parseTarget(address, options)
    if (first.kind === 'refused') return { kind: 'address_refused', expected: first.expected }
    let { target } = first
    for (let followed = 0; followed <= maxRedirects; followed += 1) {
      const addresses = await addressesOf(target, ended.signal)
      const response = await requestPinned({ target, addresses, isAllowed, headers, maxWireBytes, ca, ended })
      const { location } = response.headers
      if (location === undefined || !redirects.has(response.statusCode ?? 0)) {
        return read(response, ended.signal)
      }
      response.destroy()
      // What is wrong with where a redirect leads is not told: it may be an address of the inside.
      const next = parseTarget(new URL(location, target.url).href, options)
      if (next.kind === 'refused') throw new Error('a redirect to an address that is refused')
      target = next.target
    }
    throw new Error('too many redirects')
  }

  const read = async (response: IncomingMessage, signal: AbortSignal): Promise<FetchOutcome> => {
    const outcome = await readBody(response, { maxBytes, accept })
    response.destroy()
    signal.throwIfAborted()
    return outcome
  }

  return async (address, { signal } = {}) => {
    const ended = new AbortController()
    const end = (): void => ended.abort(new Error('the caller gave up'))
    const timer = setTimeout(() => ended.abort(new Error('the time is over')), timeoutMs)
    if (signal?.aborted === true) end()
    signal?.addEventListener('abort', end)
    try {
      return await follow(address, ended)
    } catch (cause) {
      return { kind: 'unreachable', cause }
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
    }
  }
}

/** The body, unless its head, its first bytes or its length say no. Content-Length is believed only where it is too much. */
async function readBody(
  response: IncomingMessage,
  { maxBytes, accept }: Pick<GuardedFetchOptions, 'maxBytes' | 'accept'>,
): Promise<FetchOutcome> {
  const { statusCode = 0, headers } = response
  if (statusCode !== 200) return { kind: 'unexpected_status', status: statusCode }
  const type = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (type !== '' && !accept.contentTypes.includes(type)) return { kind: 'wrong_type' }
  // Asked for as it is. What comes packed after all could be a few bytes that unpack to gigabytes.
  if ((headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity') return { kind: 'wrong_type' }
  if (Number(headers['content-length'] ?? 0) > maxBytes) return { kind: 'too_large' }
  const chunks: Buffer[] = []
  let length = 0
  let judged = false
  const startsRight = (): boolean => accept.startsRight(Buffer.concat(chunks).subarray(0, accept.startBytes))
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) throw new Error('a body that is no bytes')
    chunks.push(chunk)
    length += chunk.length
    if (length > maxBytes) return { kind: 'too_large' }
    if (!judged && length >= accept.startBytes) {
      if (!startsRight()) return { kind: 'wrong_type' }
      judged = true
    }
  }
  if (!judged && !startsRight()) return { kind: 'wrong_type' }
  return { kind: 'fetched', bytes: Buffer.concat(chunks, length) }
}

/** A resolver of the caller's may not listen to the signal. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject)
  })
}
