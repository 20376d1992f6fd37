import { expect, test } from 'vitest'

import { kill } from './kill.ts'
import { shortForm } from './scenario.ts'

// Each is a system of its own that waits for half of its time: for locks to lapse, for what is to come back.
test.runIf(process.platform === 'linux').concurrent.each([
  ['apart', 1],
  ['one', 1],
  ['apart', 3],
  ['one', 3],
] as const)(
  'random kill -9 of engines, consumers and APIs (%s, parts of the queue: %i) under load: every 202 has one final state, and nothing is left',
  async (composition, queueParts) => {
    const [finding] = await kill.run({ ...shortForm, composition, queueParts })
    expect(finding?.figures).toMatchObject({
      lost: 0,
      duplicated: 0,
      changed: 0,
      stuck: 0,
      'answered otherwise': 0,
      'parts with jobs': queueParts,
      'left in Redis': 0,
    })
    expect(finding?.held).toBe(true)
    expect(finding?.figures['accepted']).toBeGreaterThan(0)
  },
  300_000,
)
