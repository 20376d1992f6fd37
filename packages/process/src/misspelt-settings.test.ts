import { expect, test } from 'vitest'
import { z } from 'zod'

import { describeMisspelt, misspeltSettings } from './misspelt-settings.ts'

const schema = z.object({ PORT: z.string(), QUEUE_MAX_JOBS: z.string(), CONSUMERS: z.string(), LOG_LEVEL: z.string() })

test.each([
  ['PRT', 'PORT'],
  ['port', 'PORT'],
  ['QUEUE_MAX_JOB', 'QUEUE_MAX_JOBS'],
  ['QEUUE_MAX_JOBS', 'QUEUE_MAX_JOBS'],
  ['CONSUMER', 'CONSUMERS'],
  ['LOGLEVEL', 'LOG_LEVEL'],
])('%s is told to be no setting, with %s as what may be meant', (name, meant) => {
  expect(misspeltSettings([schema], { [name]: '1' })).toEqual([{ name, meant }])
  expect(describeMisspelt({ name, meant })).toBe(`${name} is set, and is no setting: is ${meant} meant?`)
})

test('settings, and what else is in an environment, are not complained of', () => {
  const env = {
    PORT: '1',
    LOG_LEVEL: '',
    PATH: '/bin',
    HOME: '/',
    HOST: 'a',
    LANG: 'C',
    TERM: 'x',
    PWD: '/',
    SHELL: 's',
  }
  expect(misspeltSettings([schema], env)).toEqual([])
})
