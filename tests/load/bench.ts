import { rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { plainTable } from '@vision-queue/load/html-page'

import { variantsOf } from './compositions.ts'
import { temporaryFolder } from './corpora.ts'
import { type Findings, mergeFigures, readFigures, type StoredFigures } from './figures.ts'
import { describeMachine } from './machine.ts'
import { renderHtml, renderMarkdown, targetTable } from './report.ts'
import { openRevision } from './revision.ts'
import { scenarios } from './scenarios/index.ts'
import { createServices } from './services.ts'
import type { WindowPlan } from './windows/measure.ts'

/**
 * `npm run bench`: runs the usual scenarios, or those named with `--scenario`, and writes docs/benchmarks.json
 * (the figures), .md and .html. A scenario that fails is reported, keeps its earlier figures and doesn't
 * keep the others from running; the exit code is 1 then.
 */
const { values } = parseArgs({
  options: {
    scenario: { type: 'string', multiple: true },
    /** A git revision that is measured beside this tree, in the same rounds. */
    against: { type: 'string' },
    /** To see that scenarios work: few and short windows, shown and not written, without verdicts. */
    quick: { type: 'boolean', default: false },
  },
})
const docs = fileURLToPath(new URL('../../docs/', import.meta.url))
const names = scenarios.map(({ name }) => name)
const unknown = values.scenario?.filter((name) => !names.includes(name)) ?? []
if (unknown.length > 0) {
  console.error(`No such scenario: ${unknown.join(', ')}. There are: ${names.join(', ')}.`)
  process.exit(2)
}

const plan: WindowPlan = values.quick
  ? { rounds: 2, windowMs: 400, settleMs: 100, warmUpJobs: 64 }
  : { rounds: 8, windowMs: 900, settleMs: 200, warmUpJobs: 5000 }
const chosen = scenarios.filter(({ name, usual }) => values.scenario?.includes(name) ?? usual)
const stored = values.quick ? {} : readFigures(`${docs}benchmarks.json`)
const fresh: StoredFigures = {}
const figures = (): StoredFigures => mergeFigures(stored, fresh, names)
const write = async (): Promise<void> => {
  await writeFile(`${docs}benchmarks.json`, `${JSON.stringify(figures(), withSixDigits, 1)}\n`)
  await writeFile(`${docs}benchmarks.md`, renderMarkdown(figures()))
  await writeFile(`${docs}benchmarks.html`, renderHtml(figures()))
}

const noFindings: Findings = { targets: [], tables: [], charts: [], notes: [] }

const machine = await describeMachine()
const folder = await temporaryFolder()
const revision = values.against === undefined ? null : await openRevision(values.against, folder)
const variants = [...variantsOf(), ...(revision?.variants ?? [])]
const services = createServices(variants)
const close = async (): Promise<void> => {
  await services.close()
  await revision?.close()
  await rm(folder, { recursive: true, force: true })
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void close().finally(() => process.exit(1)))
}
const began = performance.now()
try {
  for (const scenario of chosen) {
    console.log(`\n${scenario.name}: ${scenario.title}`)
    const started = performance.now()
    const say = (line: string): void => console.log(`  ${line}`)
    try {
      const found = await scenario.run({ say, quick: values.quick, plan, variants, services, folder })
      const against = values.against === undefined ? '' : ` --against ${values.against}`
      const seconds = (performance.now() - started) / 1000
      fresh[scenario.name] = {
        ...noFindings,
        ...found,
        targets: (found.targets ?? []).map((target) =>
          values.quick ? Object.assign(target, { doubt: 'a quick run' }) : target,
        ),
        title: scenario.title,
        command: `npm run bench -- --scenario ${scenario.name}${against}`,
        measuredAt: new Date().toISOString(),
        seconds,
        machine,
      }
      if (!values.quick) await write()
      for (const shown of found.tables ?? []) console.log(`\n${shown.title}\n${plainTable(shown)}`)
      console.log(`  (${seconds.toFixed(0)} s)`)
    } catch (error) {
      process.exitCode = 1
      console.error(`  ${scenario.name} could not be measured:`, error)
    }
  }
} finally {
  await close()
}

console.log(`\n${plainTable(targetTable(values.quick ? fresh : figures()))}`)
const where = values.quick ? 'nothing was written' : 'docs/benchmarks.md, docs/benchmarks.html'
console.log(`\n${((performance.now() - began) / 60_000).toFixed(1)} minutes; ${where}`)

/** Enough for every column, and a file that can be diffed. A number that is none is no figure. */
function withSixDigits(_key: string, value: unknown): unknown {
  if (typeof value !== 'number' || Number.isInteger(value)) return value
  return Number.isFinite(value) ? Number(value.toPrecision(6)) : null
}
