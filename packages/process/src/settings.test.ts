import { expect, test } from 'vitest'
import { z } from 'zod'

import { integerSetting, parseBoth, SettingsError } from './settings.ts'

const first = z.object({ PORT: integerSetting(0, 9), SHARED: integerSetting(0, 9) })
const second = z.object({ ENGINES: integerSetting(0, 4), SHARED: integerSetting(0, 9) })

test('two parts of a process read their settings from one environment', () => {
  expect(parseBoth(first, second, { PORT: '1', SHARED: '2', ENGINES: '3' })).toEqual([
    { PORT: 1, SHARED: 2 },
    { ENGINES: 3, SHARED: 2 },
  ])
})

test('what is wrong in either is told at once, and what both say once', () => {
  const bad = { PORT: 'a', SHARED: '10', ENGINES: '5' }
  expect(() => parseBoth(first, second, bad)).toThrow(
    new SettingsError([
      'PORT: expected a whole number from 0 to 9',
      'SHARED: expected a whole number from 0 to 9',
      'ENGINES: expected a whole number from 0 to 4',
    ]),
  )
})
