import { expect, test } from 'vitest'

import { rolling } from './rolling.ts'
import { shortForm } from './scenario.ts'

test('a rolling restart breaks no request and loses no job, and jobs of other releases find who understands them', async () => {
  const [restarted, shapes] = await rolling.run(shortForm)
  expect(restarted?.figures).toMatchObject({ lost: 0, duplicated: 0, stuck: 0, failed: 0, 'answered otherwise': 0 })
  expect(restarted?.held).toBe(true)
  expect(shapes?.figures).toMatchObject({ lost: 0, stuck: 0, 'the older one': 'succeeded' })
  expect(shapes?.held).toBe(true)
}, 180_000)
