import { isIPv4 } from 'node:net'

import type { Scope } from '@vision-queue/queue'
import { sameSecret, SettingsError } from '@vision-queue/process'
import { VisionQueueError } from '@vision-queue/protocol'
import { type ApiKeys, rateWindowSeconds, type RequestRate } from '@vision-queue/queue/producer'
import type { Context } from 'hono'
import type { Logger } from 'pino'

import type { ApiEnv, ApiMiddleware } from '../api-env.ts'
import { bearerToken, type Caller, identify } from './caller.ts'
import type { ApiSettings } from '../config.ts'

/** The doors of the API: put before the handler of every route that isn't open to everybody. */
export interface Access {
  /** Lets through who has the scope, as `caller` in the context: 401, 403 and 429 otherwise. */
  needs(scope: Scope): ApiMiddleware
  /** Of /metrics: METRICS_TOKEN or the scope admin where either is asked for. */
  scrape: ApiMiddleware
}

type AccessSettings = Pick<ApiSettings, 'HOST' | 'ALLOW_ANONYMOUS' | 'ADMIN_KEY' | 'METRICS_TOKEN'>

export function createAccess({ keys, settings }: { keys: ApiKeys; settings: AccessSettings }): Access {
  const { ADMIN_KEY: adminKey, METRICS_TOKEN: metricsToken } = settings
  const anonymous = allowsAnonymous(settings)

  const admit = async (c: Context<ApiEnv>, scope: Scope): Promise<void> => {
    const caller = await identify(c.req.header('authorization'), { keys, adminKey, anonymous })
    if (caller.key !== null) {
      const rate = await keys.countRequest(caller.key)
      if (rate !== null) tellRate(c, rate)
    }
    if (!caller.scopes.includes(scope)) throw denied(caller, scope, adminKey)
    c.set('caller', caller)
  }

  return {
    needs: (scope) => async (c, next) => {
      await admit(c, scope)
      await next()
    },
    async scrape(c, next) {
      const token = bearerToken(c.req.header('authorization'))
      const isScraper = metricsToken === '' ? anonymous : token !== null && sameSecret(token, metricsToken)
      if (!isScraper) await admit(c, 'admin')
      await next()
    },
  }
}

/** Whether who has no key is let in: as set, else where only this machine can ask. */
export function allowsAnonymous({ HOST, ALLOW_ANONYMOUS }: Pick<ApiSettings, 'HOST' | 'ALLOW_ANONYMOUS'>): boolean {
  return ALLOW_ANONYMOUS ?? isLoopback(HOST)
}

/** Whether only this machine reaches what listens there. */
export function isLoopback(host: string): boolean {
  const address = host.replace(/^\[|\]$/g, '').toLowerCase()
  return address === 'localhost' || address === '::1' || (isIPv4(address) && address.startsWith('127.'))
}

/**
 * Throws SettingsError where keys are asked for and nobody has one: a service that can let nobody in is a
 * mistake to learn of at once. While Redis is away it may start, as nobody gets in unchecked.
 */
export async function assertSomebodyHasKey(keys: ApiKeys, settings: ApiSettings, log: Logger): Promise<void> {
  if (allowsAnonymous(settings)) {
    const where = { host: settings.HOST }
    if (!isLoopback(settings.HOST)) log.warn(where, 'ALLOW_ANONYMOUS: whoever reaches this address may submit jobs')
    return
  }
  const usable = await keys.hasUsable(settings.REDIS_COMMAND_TIMEOUT_MS).catch(() => null)
  if (usable === null) log.warn({}, 'Redis can not be asked for API keys; without it nobody is let in')
  if (usable !== false) return
  const redis = new URL(settings.REDIS_URL)
  // With a password it isn't repeated.
  const where = redis.password === '' ? settings.REDIS_URL : '...'
  throw new SettingsError([
    `HOST: ${settings.HOST} needs API keys, and there is none yet. Make one:\n` +
      `    REDIS_URL=${where} npm run -s vq -- keys create --name first --scopes submit,read\n` +
      '  (in the Redis that npm start brings up: while it runs without HOST; keys outlast it)\n' +
      '  or let everybody in who reaches this address: ALLOW_ANONYMOUS=true',
  ])
}

function denied(caller: Caller, scope: Scope, adminKey: string): VisionQueueError {
  if (caller.key === null && scope === 'admin') {
    return adminKey === ''
      ? new VisionQueueError(
          'forbidden',
          'Administration needs a key: set ADMIN_KEY for the API, or make one with the scope admin.',
        )
      : new VisionQueueError('unauthorized', 'This needs the administrator’s key, as Authorization: Bearer <key>.')
  }
  return new VisionQueueError('forbidden', `This key lacks the scope ${scope}; it has ${caller.scopes.join(', ')}.`)
}

/** Tells the caller how much of its minute is left, in every answer; throws `rate_limited` where nothing is. */
function tellRate(c: Context<ApiEnv>, { limit, remaining, resetMs, exceeded }: RequestRate): void {
  const headers = {
    'RateLimit-Policy': `"minute";q=${limit};w=${rateWindowSeconds}`,
    RateLimit: `"minute";r=${remaining};t=${Math.ceil(resetMs / 1000)}`,
  }
  for (const [name, value] of Object.entries(headers)) c.env.outgoing.setHeader(name, value)
  if (!exceeded) return
  throw new VisionQueueError('rate_limited', `This key may send ${limit} requests a minute.`, { retryAfterMs: resetMs })
}
