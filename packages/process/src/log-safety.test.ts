import { expect, test } from 'vitest'

import { errorForLog } from './log-safety.ts'

test('an error is logged with its causes and without what libraries hang on it', () => {
  const reply = Object.assign(new Error('NOPERM'), { command: { name: 'set', args: ['k', 'the picture'] }, code: 'NO' })
  const logged = errorForLog(new TypeError('not stored', { cause: reply }))
  expect(logged).toMatchObject({
    type: 'TypeError',
    message: 'not stored',
    stack: expect.stringContaining('log-safety.test.ts'),
    cause: { type: 'Error', message: 'NOPERM', code: 'NO' },
  })
  expect(JSON.stringify(logged)).not.toContain('picture')
})

test('what is thrown and no error says no more than that, unless it is words', () => {
  expect([errorForLog('closed'), errorForLog({ image: 'x' }), errorForLog(undefined)]).toEqual([
    'closed',
    'something that is no error',
    'something that is no error',
  ])
})
