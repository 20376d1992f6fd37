import { expect, test } from 'vitest'

import { clocks } from './clocks.ts'
import { shortForm } from './scenario.ts'

test('a consumer whose clock is an hour ahead loses no job and keeps deadlines', async () => {
  const [finding] = await clocks.run(shortForm)
  expect(finding?.figures).toMatchObject({
    lost: 0,
    stuck: 0,
    failed: 0,
    'a job with a minute left ended as': 'succeeded',
  })
  expect(finding?.held).toBe(true)
}, 120_000)
