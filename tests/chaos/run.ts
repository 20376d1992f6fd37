import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { z } from 'zod'

import { chaosDocument, type ChaosRecord, chaosRecordsSchema, table } from './report.ts'
import { scenarios } from './scenarios.ts'

/**
 * `npm run chaos -- [--scenario NAME] [--minutes M] [--seed N]`: the long form of all scenarios or one. Prints what
 * each fault did, and writes docs/chaos.json and docs/chaos.md; a scenario that was not run keeps its last record.
 * Exits 1 where the promise did not hold.
 */
const { values } = parseArgs({
  options: {
    scenario: { type: 'string' },
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
  },
})
const minutes = z.coerce.number().positive().parse(values.minutes)
const seed = z.coerce.number().int().parse(values.seed)
const chosen = scenarios.filter(({ name }) => values.scenario === undefined || values.scenario === name)
if (chosen.length === 0) {
  console.error(`No such scenario. There are: ${scenarios.map(({ name }) => name).join(', ')}`)
  process.exit(1)
}

const jsonPath = fileURLToPath(new URL('../../docs/chaos.json', import.meta.url))
const documentPath = fileURLToPath(new URL('../../docs/chaos.md', import.meta.url))

function earlier(): ChaosRecord[] {
  try {
    return chaosRecordsSchema.parse(JSON.parse(readFileSync(jsonPath, 'utf8')))
  } catch {
    return []
  }
}

let held = true
for (const { name, title, run } of chosen) {
  console.log(`${name}: ${title}`)
  const startedAt = Date.now()
  const findings = await run({ form: 'long', seed, minutes, say: (line) => console.log(`  ${line}`) })
  held &&= findings.every((finding) => finding.held)
  const record: ChaosRecord = {
    name,
    title,
    date: new Date(startedAt).toISOString().slice(0, 10),
    minutes: Math.round((Date.now() - startedAt) / 6000) / 10,
    seed,
    machine: `${cpus().length} cores, Node ${process.versions.node}`,
    findings,
  }
  console.log(table(record))
  const all = [...earlier().filter((other) => other.name !== name), record]
  const order = scenarios.map((scenario) => scenario.name)
  all.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
  writeFileSync(jsonPath, `${JSON.stringify(all, null, 2)}\n`)
  writeFileSync(documentPath, chaosDocument(all))
}
process.exit(held ? 0 : 1)
