import { rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { plainTable } from '@vision-queue/load/html-page'

import { temporaryFolder } from './corpora.ts'
import { type Findings, mergeFigures, readFigures, type StoredFigures } from './figures.ts'
import { describeMachine } from './machine.ts'
import { renderHtml, renderMarkdown, targetTable } from './report.ts'
import { createSharedService } from './shared-service.ts'
import { scenarios } from './scenarios/index.ts'

/**
 * `npm run bench`: runs the usual scenarios, or those named with `--scenario`, and writes docs/benchmarks.json
 * (the figures), .md and .html. A scenario that fails is reported, keeps its earlier figures and doesn't
 * keep the others from running; the exit code is 1 then.
 */
const { values } = parseArgs({
  options: {
    scenario: { type: 'string', multiple: true },
    /** Longer runs of the scenarios that say more in minutes. */
    long: { type: 'boolean', default: false },
  },
})
const docs = fileURLToPath(new URL('../../docs/', import.meta.url))
const names = scenarios.map(({ name }) => name)
const unknown = values.scenario?.filter((name) => !names.includes(name)) ?? []
if (unknown.length > 0) {
  console.error(`No such scenario: ${unknown.join(', ')}. There are: ${names.join(', ')}.`)
  process.exit(2)
}

const chosen = scenarios.filter(({ name, usual }) => values.scenario?.includes(name) ?? usual)
const stored = readFigures(`${docs}benchmarks.json`)
const fresh: StoredFigures = {}
const figures = (): StoredFigures => mergeFigures(stored, fresh, names)
const write = async (): Promise<void> => {
  await writeFile(`${docs}benchmarks.json`, `${JSON.stringify(figures(), withSixDigits, 1)}\n`)
  await writeFile(`${docs}benchmarks.md`, renderMarkdown(figures()))
  await writeFile(`${docs}benchmarks.html`, renderHtml(figures()))
}

const noFindings: Findings = { targets: [], tables: [], charts: [], notes: [], facts: {} }

const machine = await describeMachine()
const folder = await temporaryFolder()
const shared = createSharedService()
const began = performance.now()
try {
  for (const scenario of chosen) {
    console.log(`\n${scenario.name}: ${scenario.title}`)
    const started = performance.now()
    const say = (line: string): void => console.log(`  ${line}`)
    try {
      const found = await scenario.run({ say, figures, long: values.long, folder, sharedService: shared.open })
      const command = `npm run bench -- --scenario ${scenario.name}${values.long ? ' --long' : ''}`
      const seconds = (performance.now() - started) / 1000
      fresh[scenario.name] = {
        ...noFindings,
        ...found,
        title: scenario.title,
        command,
        measuredAt: new Date().toISOString(),
        seconds,
        machine,
      }
      await write()
      console.log(`  (${seconds.toFixed(0)} s)`)
    } catch (error) {
      process.exitCode = 1
      console.error(`  ${scenario.name} could not be measured:`, error)
    }
  }
} finally {
  await shared.close()
  await rm(folder, { recursive: true, force: true })
}

console.log(`\n${plainTable(targetTable(figures()))}`)
console.log(`\n${((performance.now() - began) / 60_000).toFixed(1)} minutes; docs/benchmarks.md, docs/benchmarks.html`)

/** Enough for every column, and a file that can be diffed. A number that is none is no figure. */
function withSixDigits(_key: string, value: unknown): unknown {
  if (typeof value !== 'number' || Number.isInteger(value)) return value
  return Number.isFinite(value) ? Number(value.toPrecision(6)) : null
}
