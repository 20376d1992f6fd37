import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { z } from 'zod'

import { chaosDocument, type ChaosRecord, chaosRecordsSchema, table } from './report.ts'
import { kill } from './kill.ts'
import { scenarios } from './scenarios.ts'

/**
 * `npm run chaos -- [--scenario NAME] [--composition one|apart|both] [--minutes M] [--seed N]`: the long form of all
 * scenarios or one, with API and consumer as one process, apart, or each way in turn. Prints what each fault did, and
 * writes docs/chaos.json and docs/chaos.md; a scenario that was not run keeps its last record. Exits 1 where the promise
 * did not hold.
 *
 * `npm run chaos -- --kills N [--parts P] [--composition ...]`: the scenario `kill` alone, until N processes were killed
 * or, where `--minutes` is given too, that time is over. `--parts`: the model's queue in so many parts. Interrupted (^C),
 * it ends its processes and writes nothing.
 */
const { values } = parseArgs({
  options: {
    scenario: { type: 'string' },
    minutes: { type: 'string' },
    kills: { type: 'string' },
    parts: { type: 'string' },
    seed: { type: 'string', default: '1' },
    composition: { type: 'string', default: 'both' },
  },
})
const wholeSchema = z.coerce.number().int().positive().optional()
const kills = wholeSchema.parse(values.kills)
const queueParts = wholeSchema.parse(values.parts) ?? 1
const given = z.coerce.number().positive().optional().parse(values.minutes)
const minutes = given ?? (kills === undefined ? 30 : Number.POSITIVE_INFINITY)
const onlyKill = kills !== undefined || values.parts !== undefined
if (onlyKill && (values.scenario ?? kill.name) !== kill.name) {
  console.error(`--kills and --parts are of the scenario ${kill.name}`)
  process.exit(1)
}
const name = onlyKill ? kill.name : values.scenario
const compositions = { one: ['one'], apart: ['apart'], both: ['apart', 'one'] } as const
const wanted = compositions[z.enum(['one', 'apart', 'both']).parse(values.composition)]
const seed = z.coerce.number().int().parse(values.seed)
const chosen = scenarios.filter((scenario) => name === undefined || name === scenario.name)
if (chosen.length === 0) {
  console.error(`No such scenario. There are: ${scenarios.map((each) => each.name).join(', ')}`)
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

const isOfSameRun = (a: ChaosRecord, b: ChaosRecord): boolean =>
  a.name === b.name && a.composition === b.composition && a.queueParts === b.queueParts

let held = true
const runs = chosen.flatMap((scenario) => wanted.map((composition) => ({ scenario, composition })))
for (const { scenario, composition } of runs) {
  const { title, run } = scenario
  console.log(`${scenario.name}, ${composition}: ${title}`)
  const startedAt = Date.now()
  const say = (line: string): void => console.log(`  ${line}`)
  const findings = await run({ form: 'long', seed, minutes, composition, kills, queueParts, say })
  held &&= findings.every((finding) => finding.held)
  const record: ChaosRecord = {
    name: scenario.name,
    title,
    date: new Date(startedAt).toISOString().slice(0, 10),
    minutes: Math.round((Date.now() - startedAt) / 6000) / 10,
    seed,
    machine: `${cpus().length} cores, Node ${process.versions.node}`,
    composition,
    queueParts,
    findings,
  }
  console.log(table(record))
  const all = [...earlier().filter((other) => !isOfSameRun(other, record)), record]
  const order = scenarios.map((each) => each.name)
  all.sort(
    (a, b) =>
      order.indexOf(a.name) - order.indexOf(b.name) ||
      a.composition.localeCompare(b.composition) ||
      a.queueParts - b.queueParts,
  )
  writeFileSync(jsonPath, `${JSON.stringify(all, null, 2)}\n`)
  writeFileSync(documentPath, chaosDocument(all))
}
process.exit(held ? 0 : 1)
