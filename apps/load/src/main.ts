import { writeFile } from 'node:fs/promises'
import { resolve as resolvePath } from 'node:path'

import { checkTarget } from './check-target.ts'
import { plainTable, renderPage } from './html-page.ts'
import { type LoadPlan, loadPlanSchema } from './load-plan.ts'
import { describePlan, progressLine, reportSections, summaryTables } from './load-report.ts'
import { helpText, type LoadOptions, parseOptions, UsageError } from './options.ts'
import { listPictures } from './pictures.ts'
import { runLoad } from './run-load.ts'
import type { Sample } from './sample.ts'
import { summarise } from './summary.ts'

void main()

/**
 * `pnpm load`, or `vq-load`: the load tester for a deployment of one's own. Ctrl-C ends it early, with the
 * report of what was measured. Exit code 1: there were errors; 2: it could not begin.
 */
async function main(): Promise<void> {
  try {
    const options = parseOptions(process.argv.slice(2))
    if (options === null) process.stdout.write(helpText())
    else await load(options)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message}\nvq-load --help tells what there is.\n`)
    process.exitCode = 2
  }
}

async function load(options: LoadOptions): Promise<void> {
  const plan = await planOf(options)
  await checkTarget(plan)
  console.log(describePlan(plan))

  const stopping = new AbortController()
  process.once('SIGINT', () => stopping.abort())
  let lately: Sample[] = []
  let [sent, second] = [0, 0]
  const ticking = setInterval(() => {
    second += 1
    console.log(progressLine(second, lately, sent))
    lately = []
  }, 1000)
  const run = await runLoad(plan, {
    signal: stopping.signal,
    onSample: (sample) => lately.push(sample),
    onUnderWay: (count) => {
      sent = count
    },
  }).finally(() => clearInterval(ticking))

  const summary = summarise(run)
  for (const table of summaryTables(summary)) console.log(`\n${plainTable(table)}`)
  if (options.report !== undefined) {
    const file = resolvePath(process.env['INIT_CWD'] ?? '.', options.report)
    await writeFile(file, renderPage('vision-queue: load test', reportSections(plan, run)))
    console.log(`\n${file}`)
  }
  if (summary.errors > 0) process.exitCode = 1
}

async function planOf(options: LoadOptions): Promise<LoadPlan> {
  if (options.images === undefined) throw new UsageError('--images: a folder of pictures to send is needed.')
  // pnpm runs this in the project's folder, and says where it was called from.
  const pictures = await listPictures(resolvePath(process.env['INIT_CWD'] ?? '.', options.images))
  const query = {
    ...(options.model === undefined ? {} : { model: options.model }),
    ...(options.question === undefined ? {} : { question: options.question }),
    ...Object.fromEntries(options.input),
  }
  const { clients = 8, rate, think, arrivals } = options
  return loadPlanSchema.parse({
    url: options.url,
    apiKey: options['api-key'] ?? null,
    pace:
      rate === undefined
        ? { kind: 'clients', clients, thinkMs: think ?? null }
        : { kind: 'rate', perSecond: rate, arrivals },
    warmUpMs: options['warm-up'],
    durationMs: options.duration,
    waitSeconds: options.wait,
    requests: pictures.map(({ file, contentType }) => ({ label: 'load', file, contentType, query })),
    uniquePictures: !options.repeat,
  } satisfies LoadPlan)
}
