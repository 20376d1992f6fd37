import { parseSettings, SettingsError } from '@vision-queue/process'
import { describe, expect, test } from 'vitest'

import { apiSettings } from '../config.ts'
import { png } from '../test-support/images.ts'
import { connectRaw } from '../test-support/raw-http.ts'
import { postJson, startApi } from '../test-support/start-api.ts'

const origin = 'https://app.example.com'
const body = { input: { image: png.toString('base64'), question: '?' } }

describe('every answer', () => {
  test.each(['/', '/health', '/models', '/openapi.json', '/metrics', '/nowhere', '/jobs/x', '/jobs'])(
    'of %s loads nothing, stands in no frame, and is neither guessed at nor kept',
    async (path) => {
      const api = await startApi()
      const { headers } = await fetch(api.url + path)
      expect(headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'")
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      expect(headers.get('cross-origin-resource-policy')).toBe('same-origin')
      expect(headers.get('cache-control')).toBe('no-store')
      // Nor does it say what answers.
      expect([headers.get('server'), headers.get('x-powered-by')]).toEqual([null, null])
    },
  )

  test('of a job says the same, where it is accepted and where it is not', async () => {
    const api = await startApi()
    for (const response of [await postJson(api, body), await postJson(api, {})]) {
      expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
      expect(response.headers.get('cache-control')).toBe('no-store')
    }
  })

  test('the page alone may load its own script, and stands in no frame either', async () => {
    const api = await startApi()
    const { headers } = await fetch(`${api.url}/docs`)
    const policy = headers.get('content-security-policy')
    expect(policy).toContain("script-src 'self'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toMatch(/script-src[^;]*unsafe/)
  })

  test('that is made before there is a request has them, too', async () => {
    const api = await startApi()
    const connection = await connectRaw(api.port)
    connection.socket.write('GET / HTTP/1.1\r\nHost: a b\r\n\r\n')
    expect((await connection.until('invalid_request')).toLowerCase()).toContain('x-content-type-options: nosniff')
  })
})

describe('pages of other origins', () => {
  const preflight = { 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization' }
  const allowed = (response: Response): string | null => response.headers.get('access-control-allow-origin')

  test('may not use the API, unless they are set', async () => {
    const api = await startApi()
    const asked = await fetch(`${api.url}/jobs`, { method: 'OPTIONS', headers: { Origin: origin, ...preflight } })
    expect(allowed(asked)).toBeNull()
    expect(allowed(await postJson(api, body, { Origin: origin }))).toBeNull()
  })

  test('that are set may, with a key and without cookies; others still not', async () => {
    const api = await startApi({ CORS_ORIGINS: `${origin}, http://localhost:5173`, ALLOW_ANONYMOUS: 'false' })
    const asked = await fetch(`${api.url}/jobs`, { method: 'OPTIONS', headers: { Origin: origin, ...preflight } })
    expect([asked.status, allowed(asked)]).toEqual([204, origin])
    expect(asked.headers.get('access-control-allow-headers')).toContain('Authorization')
    expect(asked.headers.get('access-control-allow-credentials')).toBeNull()
    const key = api.keys.add(['submit'], { requestsPerMinute: 5 })
    const answer = await postJson(api, body, { Origin: origin, Authorization: `Bearer ${key}` })
    expect([answer.status, allowed(answer)]).toEqual([202, origin])
    expect(answer.headers.get('access-control-expose-headers')).toContain('Location')
    // Refusals are to be read as well.
    const refused = await postJson(api, body, { Origin: origin })
    expect([refused.status, allowed(refused), refused.headers.get('www-authenticate')]).toEqual([
      401,
      origin,
      'Bearer realm="vision-queue"',
    ])
    expect(allowed(await postJson(api, body, { Origin: 'https://evil.example.com' }))).toBeNull()
  })

  test.each(['app.example.com', 'https://app.example.com/', 'https://*.example.com/x', 'null', ','])(
    '%j is no origin',
    (origins) => {
      expect(() => parseSettings(apiSettings, { CORS_ORIGINS: origins })).toThrow(SettingsError)
    },
  )
})
