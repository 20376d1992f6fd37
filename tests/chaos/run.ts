import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { z } from 'zod'

import { chaosDocument, type ChaosRecord, chaosRecordsSchema, table } from './report.ts'
import { scenarios } from './scenarios.ts'

/**
 * `npm run chaos -- [--scenario NAME] [--composition one|apart|both] [--minutes M] [--seed N]`: the long form of all
 * scenarios or one, with API and consumer as one process, apart, or each way in turn. Prints what each fault did, and
 * writes docs/chaos.json and docs/chaos.md; a scenario that was not run keeps its last record. Exits 1 where the promise
 * did not hold.
 */
const { values } = parseArgs({
  options: {
    scenario: { type: 'string' },
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    composition: { type: 'string', default: 'both' },
  },
})
const minutes = z.coerce.number().positive().parse(values.minutes)
const compositions = { one: ['one'], apart: ['apart'], both: ['apart', 'one'] } as const
const wanted = compositions[z.enum(['one', 'apart', 'both']).parse(values.composition)]
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
const runs = chosen.flatMap((scenario) => wanted.map((composition) => ({ scenario, composition })))
for (const { scenario, composition } of runs) {
  const { name, title, run } = scenario
  console.log(`${name}, ${composition}: ${title}`)
  const startedAt = Date.now()
  const findings = await run({ form: 'long', seed, minutes, composition, say: (line) => console.log(`  ${line}`) })
  held &&= findings.every((finding) => finding.held)
  const record: ChaosRecord = {
    name,
    title,
    date: new Date(startedAt).toISOString().slice(0, 10),
    minutes: Math.round((Date.now() - startedAt) / 6000) / 10,
    seed,
    machine: `${cpus().length} cores, Node ${process.versions.node}`,
    composition,
    findings,
  }
  console.log(table(record))
  const all = [...earlier().filter((other) => other.name !== name || other.composition !== composition), record]
  const order = scenarios.map((each) => each.name)
  all.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name) || a.composition.localeCompare(b.composition))
  writeFileSync(jsonPath, `${JSON.stringify(all, null, 2)}\n`)
  writeFileSync(documentPath, chaosDocument(all))
}
process.exit(held ? 0 : 1)
