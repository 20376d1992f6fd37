import { expect, test } from 'vitest'

import { rolling } from './rolling.ts'
import { shortForm } from './scenario.ts'

test('a rolling restart breaks no request and loses no job, and jobs of other releases find who understands them', async () => {
  const [restarted, shapes] = await rolling.run(shortForm)
  // Each tells all figures where one is not as it should be.
  const kept = { lost: 0, duplicated: 0, stuck: 0, failed: 0, 'answered otherwise': 0 }
  const unbroken = { 'clean exits': 4, 'connections broken before an answer': 0 }
  expect(restarted).toMatchObject({ held: true, figures: { ...kept, ...unbroken } })
  expect(shapes).toMatchObject({ held: true, figures: { lost: 0, stuck: 0, 'the older one': 'succeeded' } })
}, 180_000)
