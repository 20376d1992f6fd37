import { fileURLToPath } from 'node:url'

import { expect, test } from 'vitest'

import { readFigures } from './figures.ts'
import { missedScenarios, reasons, reasonsOf } from './missed-targets.ts'
import { scenarios } from './scenarios/index.ts'

const figures = readFigures(fileURLToPath(new URL('../../docs/benchmarks.json', import.meta.url)))

test('what docs/benchmarks.md says is not met has a reason there', () => {
  const explained = new Set(reasonsOf(figures).flatMap((reason) => reason.scenarios))
  expect(missedScenarios(figures).filter((name) => !explained.has(name))).toEqual([])
})

test('a reason is of scenarios that there are, and is left out once all their targets are met', () => {
  const names = new Set(scenarios.map(({ name }) => name))
  expect(reasons.flatMap((reason) => reason.scenarios).filter((name) => !names.has(name))).toEqual([])
  expect(reasonsOf({})).toEqual([])
})
