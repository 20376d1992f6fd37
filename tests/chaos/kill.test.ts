import { expect, test } from 'vitest'

import { kill } from './kill.ts'
import { shortForm } from './scenario.ts'

test.runIf(process.platform === 'linux').each(['apart', 'one'] as const)(
  'random kill -9 of engines, consumers and APIs (%s) under load: every 202 has one final state, and nothing is left',
  async (composition) => {
    const [finding] = await kill.run({ ...shortForm, composition })
    expect(finding?.figures).toMatchObject({
      lost: 0,
      duplicated: 0,
      changed: 0,
      stuck: 0,
      'answered otherwise': 0,
      'left in Redis': 0,
    })
    expect(finding?.held).toBe(true)
    expect(finding?.figures['accepted']).toBeGreaterThan(0)
  },
  180_000,
)
