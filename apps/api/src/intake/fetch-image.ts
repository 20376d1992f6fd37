import {
  createGuardedFetch,
  type FetchOutcome,
  type GuardedFetchOptions,
  parseHostPatterns,
} from '@vision-queue/guarded-fetch'
import { type JobSignal, type RequestContext, requestFields } from '@vision-queue/process'
import { imageTypes, VisionQueueError } from '@vision-queue/protocol'
import type { Logger } from 'pino'

import { parsePorts } from '../address-settings.ts'
import type { ApiSettings } from '../config.ts'
import { refusal } from '../expectation.ts'
import type { Metrics } from '../observe/metrics.ts'
import { imageTypeOf } from './image.ts'

/**
 * The bytes at an address that a caller gave, which `field` held. Rejects with `invalid_request`, `image_unreachable`,
 * `payload_too_large`, `unsupported_media_type` and `fetches_full`. Given up when the signal fires.
 */
export type FetchImage = (
  submitted: { address: string; field: string },
  signal: JobSignal,
  request?: RequestContext,
) => Promise<Uint8Array>

interface Options {
  settings: ApiSettings
  metrics: Metrics
  log: Logger
  /** How names are resolved and which addresses are let through, where not as the package does. */
  network?: Pick<GuardedFetchOptions, 'resolve' | 'isAllowed'>
}

const protocols = { https: ['https:'], 'http+https': ['https:', 'http:'] } as const

/** What some object stores call everything; the first bytes say what it is. */
const anyType = ['application/octet-stream', 'binary/octet-stream']

/** By the IMAGE_URL settings; null where they are off. At most IMAGE_URL_FETCHES run at a time, the next is refused. */
export function createFetchImage({ settings, metrics, log, network = {} }: Options): FetchImage | null {
  if (settings.IMAGE_URLS === 'off') return null
  const maxBytes = settings.MAX_IMAGE_BYTES
  const guardedFetch = createGuardedFetch({
    protocols: protocols[settings.IMAGE_URLS],
    ports: parsePorts(settings.IMAGE_URL_PORTS) ?? [],
    hosts: hostsOf(settings.IMAGE_URL_HOSTS),
    timeoutMs: settings.IMAGE_URL_TIMEOUT_MS,
    maxBytes,
    accept: {
      contentTypes: [...imageTypes, ...anyType],
      startBytes: 12,
      startsRight: (start) => imageTypeOf(start) !== null,
    },
    userAgent: 'vision-queue',
    ...network,
  })
  let running = 0

  return async ({ address, field }, signal, request) => {
    if (running >= settings.IMAGE_URL_FETCHES) {
      metrics.imageFetches.inc({ outcome: 'fetches_full' })
      throw new VisionQueueError(
        'fetches_full',
        `${running} images are being fetched, the limit. Try again, or send the bytes of the image.`,
        { retryAfterMs: 1000 },
      )
    }
    running += 1
    try {
      const outcome = await guardedFetch(address, { signal })
      metrics.imageFetches.inc({ outcome: outcome.kind })
      if (outcome.kind === 'fetched') return outcome.bytes
      if (outcome.kind === 'unreachable') {
        log.debug({ ...requestFields(request), cause: String(outcome.cause) }, 'An image was not fetched')
      }
      throw errorOf(outcome, field, maxBytes)
    } finally {
      running -= 1
    }
  }
}

/** An unknown list would allow every host, so it allows none; the settings were checked when they were parsed. */
function hostsOf(list: string): string[] {
  const hosts = parseHostPatterns(list)
  if (hosts === null) throw new Error('IMAGE_URL_HOSTS is no list of hosts')
  return hosts
}

function errorOf(
  outcome: Exclude<FetchOutcome, { kind: 'fetched' }>,
  field: string,
  maxImageBytes: number,
): VisionQueueError {
  switch (outcome.kind) {
    case 'address_refused':
      return refusal('invalid_request', [{ field, expected: outcome.expected }])
    case 'unreachable':
      // One sentence, whether nobody is there or somebody who is none of the caller's business.
      return new VisionQueueError('image_unreachable', 'The image could not be fetched from this address.', {
        cause: outcome.cause,
      })
    case 'unexpected_status':
      return new VisionQueueError(
        'image_unreachable',
        `The address answered with status ${outcome.status}, not with 200.`,
      )
    case 'wrong_type':
      return new VisionQueueError('unsupported_media_type', 'What the address gives is no JPEG, PNG or WebP as it is.')
    case 'too_large':
      return new VisionQueueError('payload_too_large', `An image may have at most ${maxImageBytes} bytes.`)
    default:
      return outcome satisfies never
  }
}
