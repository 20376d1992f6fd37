import { readMeasured } from './measured.ts'
import { report } from './report.ts'

/** `npm run simulate`: a day of traffic under several autoscalers, from measured costs. See docs/scaling.md. */
const number = (name: string, otherwise: number): number => {
  const given = process.argv.find((arg) => arg.startsWith(`--${name}=`))
  const value = given === undefined ? otherwise : Number(given.slice(name.length + 3))
  if (!Number.isFinite(value) || value <= 0) throw new Error(`--${name}= expects a number above 0`)
  return value
}
const known = ['jobs-a-day', 'peak', 'burst', 'start', 'new-machine', 'max-jobs', 'job-ms']
const wrong = process.argv.slice(2).filter((arg) => !known.some((name) => arg.startsWith(`--${name}=`)))
if (wrong.length > 0) {
  console.error(`Not known: ${wrong.join(' ')}. There are: ${known.map((name) => `--${name}=NUMBER`).join(' ')}`)
  process.exit(1)
}

const measured = await readMeasured(new URL('../../docs/benchmarks.json', import.meta.url))
const options = {
  jobsADay: number('jobs-a-day', 100_000_000),
  peakOverMean: number('peak', 2.5),
  burstFactor: number('burst', 2),
  jobMs: number('job-ms', measured.consumerMs + measured.engineMs),
  podSeconds: number('start', Math.ceil(measured.startMs / 1000) + 12),
  machineSeconds: number('new-machine', 120),
  maxJobs: number('max-jobs', 200_000),
}
console.log(report(options))
