import { expect, test } from 'vitest'

import { parseKeyCommand } from './key-command.ts'
import { UsageError } from './usage-error.ts'

const parse = (line: string) => parseKeyCommand(line === '' ? [] : line.split(' '), 0)
const noLimits = { requestsPerMinute: null, maxJobs: null, maxBytes: null }

test('a key is made with a name and scopes, and has no limits but those given', () => {
  expect(parse('keys create --name shop --scopes submit,read')).toEqual({
    kind: 'create',
    name: 'shop',
    scopes: ['submit', 'read'],
    limits: noLimits,
    expiresAt: null,
  })
  const limits = '--expires-in-days 2 --requests-per-minute 60 --max-jobs 5 --max-bytes 1000'
  expect(parse(`keys create --name shop --scopes read,read ${limits}`)).toMatchObject({
    scopes: ['read'],
    limits: { requestsPerMinute: 60, maxJobs: 5, maxBytes: 1000 },
    expiresAt: 2 * 86_400_000,
  })
})

test('a key is revoked by its id, with or without what stands around it', () => {
  for (const text of ['abcdefABC123', 'vq_abcdefABC123', `vq_abcdefABC123_${'s'.repeat(32)}`]) {
    expect(parse(`keys revoke ${text}`)).toEqual({ kind: 'revoke', id: 'abcdefABC123' })
  }
})

test.each(['', 'help', 'keys create --help', '--help'])('%j tells how it is used', (line) => {
  expect(parse(line)).toEqual({ kind: 'help' })
})

test.each([
  ['jobs list', 'There is no jobs'],
  ['keys', 'create, list or revoke'],
  ['keys make', 'create, list or revoke'],
  ['keys create', '--name: expected a name'],
  ['keys create --name a', '--scopes: expected some of submit,read,admin'],
  ['keys create --name a --scopes root', '--scopes: '],
  ['keys create --name a --scopes read --max-jobs 0', '--max-jobs: expected a whole number above 0'],
  ['keys create --name a --scopes read --max-jobs 1e3', '--max-jobs: expected a whole number above 0'],
  ['keys create --name a --scopes read --forever', '--forever'],
  ['keys create extra --name a --scopes read', 'extra'],
  ['keys revoke', 'Which key?'],
  ['keys revoke abc', 'Which key?'],
  ['keys revoke abcdefABC123 abcdefABC124', 'too many words'],
])('%j is refused: %s', (line, expected) => {
  expect(() => parse(line)).toThrow(UsageError)
  expect(() => parse(line)).toThrow(expected)
})
