import { expect, it } from 'vitest'

import { shareCores } from './core-share.ts'

it.each([
  // Of its own accord: one engine per core, shared by the models.
  [
    { engines: 0, intraOpThreads: 1 },
    { cores: 8, sharedBy: 1 },
    { engines: 8, intraOpThreads: 1 },
  ],
  [
    { engines: 0, intraOpThreads: 1 },
    { cores: 8, sharedBy: 3 },
    { engines: 3, intraOpThreads: 1 },
  ],
  [
    { engines: 0, intraOpThreads: 1 },
    { cores: 2, sharedBy: 6 },
    { engines: 1, intraOpThreads: 1 },
  ],
  [
    { engines: 0, intraOpThreads: 3 },
    { cores: 8, sharedBy: 1 },
    { engines: 2, intraOpThreads: 3 },
  ],
  [
    { engines: 0, intraOpThreads: 6 },
    { cores: 2, sharedBy: 1 },
    { engines: 1, intraOpThreads: 2 },
  ],
  // As asked for, where there are cores for it.
  [
    { engines: 2, intraOpThreads: 4 },
    { cores: 8, sharedBy: 6 },
    { engines: 2, intraOpThreads: 4 },
  ],
  [
    { engines: 1, intraOpThreads: 1 },
    { cores: 8, sharedBy: 1 },
    { engines: 1, intraOpThreads: 1 },
  ],
  // Lowered.
  [
    { engines: 2, intraOpThreads: 6 },
    { cores: 8, sharedBy: 1 },
    { engines: 2, intraOpThreads: 4 },
  ],
  [
    { engines: 9, intraOpThreads: 2 },
    { cores: 4, sharedBy: 1 },
    { engines: 4, intraOpThreads: 1 },
  ],
])('%j with %j is %j', (wanted, machine, expected) => {
  expect(shareCores(wanted, machine)).toEqual(expected)
})

it('never has more threads than cores, but for the one that every model needs', () => {
  for (let cores = 1; cores <= 9; cores += 1) {
    for (let engines = 0; engines <= 10; engines += 1) {
      for (let intraOpThreads = 1; intraOpThreads <= 10; intraOpThreads += 1) {
        const share = shareCores({ engines, intraOpThreads }, { cores, sharedBy: 1 })
        expect(share.engines * share.intraOpThreads).toBeLessThanOrEqual(cores)
        expect(Math.min(share.engines, share.intraOpThreads)).toBeGreaterThanOrEqual(1)
      }
    }
  }
})
