import { parseSettings, SettingsError } from '@vision-queue/process'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'

import { allowsAnonymous, assertSomebodyHasKey, isLoopback } from './access.ts'
import { apiSettings } from '../config.ts'
import { openMemoryKeys } from '@vision-queue/queue/memory'

test.each([
  ['127.0.0.1', true],
  ['127.8.9.1', true],
  ['localhost', true],
  ['::1', true],
  ['[::1]', true],
  ['0.0.0.0', false],
  ['::', false],
  ['192.168.1.7', false],
  ['10.0.0.1', false],
  ['127.example.com', false],
  ['localhost.example.com', false],
  ['', false],
])('%j is this machine only: %s', (host, only) => {
  expect(isLoopback(host)).toBe(only)
})

describe('at the start', () => {
  const quiet = pino({ level: 'silent' })
  const settingsOf = (env: Record<string, string>) => parseSettings(apiSettings, env)

  test('a public address without a key is refused, and the error says how to make one', async () => {
    const keys = openMemoryKeys()
    const settings = settingsOf({ HOST: '0.0.0.0' })
    const refused = assertSomebodyHasKey(keys, settings, quiet)
    await expect(refused).rejects.toThrow(SettingsError)
    await expect(refused).rejects.toThrow('npm run -s vq -- keys create')
    await expect(refused).rejects.toThrow('ALLOW_ANONYMOUS=true')
    keys.add(['read'], { expiresAt: 1 })
    await expect(assertSomebodyHasKey(keys, settings, quiet)).rejects.toThrow(SettingsError)
    keys.add(['read'])
    await assertSomebodyHasKey(keys, settings, quiet)
  })

  test('nobody is let in without a key there, whether Redis can be asked for keys or not', async () => {
    const keys = openMemoryKeys()
    keys.down = true
    await assertSomebodyHasKey(keys, settingsOf({ HOST: '0.0.0.0' }), quiet)
    expect(allowsAnonymous(settingsOf({ HOST: '0.0.0.0' }))).toBe(false)
    expect(allowsAnonymous(settingsOf({ HOST: '0.0.0.0', ALLOW_ANONYMOUS: 'true' }))).toBe(true)
    expect(allowsAnonymous(settingsOf({}))).toBe(true)
    expect(allowsAnonymous(settingsOf({ ALLOW_ANONYMOUS: 'false' }))).toBe(false)
  })
})
