import { expect, test } from 'vitest'

import { shortForm } from './scenario.ts'
import { soak } from './soak.ts'

test.runIf(process.platform === 'linux')(
  'every key in Redis is of a known kind and expires or has an owner, under load',
  async () => {
    const [finding] = await soak.run(shortForm)
    expect(finding?.figures).toMatchObject({
      'answered otherwise': 0,
      'keys of no known kind': 0,
      'keys without their expiry': 0,
    })
    expect(finding?.held).toBe(true)
    expect(finding?.figures['jobs']).toBeGreaterThan(0)
  },
  120_000,
)
