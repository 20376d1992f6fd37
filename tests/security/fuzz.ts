import { parseArgs } from 'node:util'

import { type FuzzReport, runFuzz } from './fuzz-run.ts'
import { targetModels } from './served-tasks.ts'

/**
 * `npm run fuzz -- --inputs 10000 --seed 1`: sends hostile inputs to a running system of all shipped models and counts
 * what became of them. `--from 812 --inputs 1` sends one input of a run again. Exits with 1 where anything was
 * found: an answer that is none of ours, a job without an end, a process that died.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string', default: '10000' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      from: { type: 'string', default: '0' },
      concurrency: { type: 'string', default: '16' },
    },
  })
  const options = { seed: Number(values.seed), inputs: Number(values.inputs), from: Number(values.from) }
  console.log(`Seed ${options.seed}, ${options.inputs} inputs`)
  const startedAt = Date.now()
  const report = await runFuzz({
    ...options,
    concurrency: Number(values.concurrency),
    models: targetModels,
    say: (line) => console.log(line),
  })
  print(report)
  console.log(`${Math.round((Date.now() - startedAt) / 1000)} s`)
  const isClean = report.findings.length === 0 && report.ended.length === 0 && report.sound.right === report.sound.sent
  process.exitCode = isClean ? 0 : 1
}

function print({ sent, outcomes, findings, sound, vitals, ended, folder }: FuzzReport): void {
  for (const [outcome, count] of [...outcomes].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    console.log(`${String(count).padStart(7)}  ${outcome}`)
  }
  console.log(`${sent} inputs; sound ones in between: ${sound.right} of ${sound.sent} answered as before`)
  console.log(
    `most memory: API ${vitals.apiMib} MiB, consumer ${vitals.consumerMib} MiB, an engine ${vitals.engineMib} MiB; ` +
      `longest pause of an event loop: API ${vitals.apiLoopMs} ms, consumer ${vitals.consumerLoopMs} ms; ` +
      `engines restarted: ${vitals.engineRestarts}`,
  )
  for (const line of ended) console.log(`DIED: ${line}`)
  for (const { index, kind, how, outcome, faults } of findings.slice(0, 50)) {
    console.log(`FOUND ${index} (${kind}): ${outcome}: ${faults.join('; ')} <- ${JSON.stringify(how.slice(0, 160))}`)
  }
  console.log(folder === null ? 'Nothing was found.' : `${findings.length} findings; their inputs are in ${folder}`)
}

await main()
