import { expect, test } from 'vitest'

import { runFuzz } from './fuzz-run.ts'
import { targetModels } from './served-tasks.ts'

/** All images made by hand, the bombs among them, and some two hundred inputs drawn; `npm run fuzz` is the long form. */
test('hostile inputs are refused or fail alone, tell nothing, and sound ones in between are answered', async () => {
  const report = await runFuzz({ seed: 20_261_121, inputs: 320, models: targetModels.slice(0, 2) })
  expect(report.findings).toEqual([])
  expect(report.ended).toEqual([])
  expect(report.sound.sent).toBeGreaterThan(5)
  expect(report.sound.right).toBe(report.sound.sent)
  // None of these inputs is known to kill an engine; one that does has to be looked at.
  expect(report.vitals.engineRestarts).toBe(0)
  // What it is all for: each kind of answer was met.
  const outcomes = [...report.outcomes.keys()].join('\n')
  for (const met of ['job succeeded', 'image_undecodable', 'image_too_large', '400 invalid_request', '415', '422']) {
    expect(outcomes).toContain(met)
  }
})
