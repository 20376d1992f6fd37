import { expect, test } from 'vitest'

import { shortForm } from './scenario.ts'
import { slowClients } from './slow-clients.ts'

test.runIf(process.platform === 'linux')(
  'slow bodies, idle streams and clients that vanish harm no other job and leave nothing behind',
  async () => {
    const findings = await slowClients.run(shortForm)
    expect(findings).toHaveLength(3)
    for (const { fault, figures, held } of findings) {
      expect({ fault, ...figures }).toMatchObject({ lost: 0, stuck: 0, failed: 0, 'answered otherwise': 0 })
      expect({ fault, held }).toEqual({ fault, held: true })
    }
    expect(findings.map(({ figures }) => figures)).toMatchObject([
      { 'answered 408': 200 },
      { 'streams open': 200, 'subscriptions left': 0 },
      { 'subscriptions left': 0 },
    ])
  },
  180_000,
)
