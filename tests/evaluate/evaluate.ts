import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { jobResponseSchema } from '@vision-queue/protocol'
import { startSystem } from '@vision-queue/test-support/system'
import { z } from 'zod'

import { type Judged, meanAveragePrecision } from './average-precision.ts'
import { readCases } from './cases.ts'
import { writeDrawings } from './drawings/write.ts'
import { judges } from './judges.ts'

/**
 * `npm run evaluate`: accuracy of the shipped models through the running API. Without arguments it
 * starts a system of its own and asks every model its own examples; `--set FOLDER` (again for more)
 * asks about held-out pictures instead, such as `training/run.sh` leaves in its work folder;
 * `--model NAME` asks one model, `--url` a system that already runs. `--drawn` asks about drawings of
 * another program than the one that made the training's pictures (`--scenes`: how many in each style).
 */
const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    model: { type: 'string' },
    set: { type: 'string', multiple: true },
    drawn: { type: 'boolean', default: false },
    scenes: { type: 'string', default: '60' },
  },
})
const models = fileURLToPath(new URL('../../models/', import.meta.url))
const concurrency = 64

const modelSchema = z.object({ name: z.string(), task: z.string().nullable(), error: z.string().nullable() })

/** Right and all answers, by kind of question and in total; of a detector also what it found. */
interface Counted {
  right: number
  all: number
  wrong: string[]
  objects: Judged[]
}
type Score = Map<string, Counted>

/** A detector is also asked for what it is hardly sure of: precision is measured at every recall. */
const parametersOf: Record<string, object> = { 'object-detection': { threshold: 0.02 } }

async function evaluate(url: string, model: z.infer<typeof modelSchema>, folder: string): Promise<Score> {
  const judge = judges[model.task ?? '']
  if (judge === undefined) throw new Error(`There is no judge for ${model.task}`)
  const cases = readCases(folder, model.task ?? '')
  const score: Score = new Map()
  let next = 0
  const client = async (): Promise<void> => {
    for (let example = cases[next++]; example !== undefined; example = cases[next++]) {
      const { input, judgeOutput } = judge(example)
      const image = readFileSync(join(folder, example.image)).toString('base64')
      const response = await fetch(`${url}/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', prefer: 'wait=60' },
        body: JSON.stringify({
          model: model.name,
          input: { image, ...input },
          parameters: parametersOf[model.task ?? ''] ?? {},
        }),
      })
      if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`)
      const { output } = jobResponseSchema.parse(await response.json())
      const { right, said, objects } = judgeOutput(output)
      for (const kind of new Set(['all', example.kind ?? 'all'])) {
        const counted: Counted = score.get(kind) ?? { right: 0, all: 0, wrong: [], objects: [] }
        counted.all += 1
        if (right) counted.right += 1
        else counted.wrong.push(`${example.image} ${JSON.stringify(input)}: ${said}`)
        if (objects !== undefined) counted.objects.push(objects)
        score.set(kind, counted)
      }
    }
  }
  await Promise.all(Array.from({ length: concurrency }, client))
  return score
}

/** Mean average precision at an overlap of a half and of three quarters, where objects were found. */
function printPrecision(objects: Judged[]): void {
  if (objects.length === 0) return
  const [half, close] = [meanAveragePrecision(objects), meanAveragePrecision(objects, 0.75)]
  console.log('\n| objects | AP@0.5 | AP@0.75 |\n| --- | --- | --- |')
  for (const [label, value] of half)
    console.log(`| ${label} | ${(value * 100).toFixed(1)} % | ${((close.get(label) ?? 0) * 100).toFixed(1)} % |`)
}

function print(title: string, score: Score): void {
  console.log(`\n## ${title}\n\n| kind | accuracy | cases |\n| --- | --- | --- |`)
  for (const [kind, { right, all }] of [...score].toSorted(([a], [b]) =>
    a === 'all' ? -1 : b === 'all' ? 1 : a < b ? -1 : 1,
  )) {
    console.log(`| ${kind} | ${((right / all) * 100).toFixed(1)} % | ${all} |`)
  }
  printPrecision(score.get('all')?.objects ?? [])
  for (const wrong of score.get('all')?.wrong.slice(0, 10) ?? []) console.log(`- wrong: ${wrong}`)
}

/** One row for each style of drawings, and one for all. */
async function evaluateDrawn(url: string, model: z.infer<typeof modelSchema>, folders: string[]): Promise<void> {
  const total: Counted = { right: 0, all: 0, wrong: [], objects: [] }
  console.log(`\n## ${model.name} on drawings\n\n| style | accuracy | cases |\n| --- | --- | --- |`)
  const row = (style: string, { right, all, objects }: Counted): void => {
    const mean = ((meanAveragePrecision(objects).get('all') ?? 0) * 100).toFixed(1)
    const precision = objects.length === 0 ? '' : `, mAP@0.5 ${mean} %`
    console.log(`| ${style} | ${((right / all) * 100).toFixed(1)} %${precision} | ${all} |`)
  }
  for (const folder of folders) {
    const counted = (await evaluate(url, model, folder)).get('all')
    if (counted === undefined) continue
    total.right += counted.right
    total.all += counted.all
    total.objects.push(...counted.objects)
    row(basename(folder), counted)
  }
  row('**all**', total)
  printPrecision(total.objects)
}

/** The sets of a model: those that were named, or the examples of its highest version. */
function setsOf(name: string): string[] {
  if (options.set !== undefined) return options.set
  const versions = existsSync(join(models, name)) ? readdirSync(join(models, name)) : []
  const [version] = versions.toSorted(new Intl.Collator('en', { numeric: true }).compare).toReversed()
  const examples = join(models, name, version ?? '', 'examples')
  return existsSync(examples) ? [examples] : []
}

async function main(): Promise<void> {
  const system = options.url === undefined ? await startSystem({ consumerEnv: { MODELS: options.model ?? '' } }) : null
  const url = options.url ?? system?.url ?? ''
  const scratch = options.drawn ? mkdtempSync(join(tmpdir(), 'drawings-')) : undefined
  try {
    const drawn = scratch === undefined ? undefined : await writeDrawings(scratch, Number(options.scenes))
    const served = z.object({ models: z.array(modelSchema) }).parse(await (await fetch(`${url}/models`)).json())
    for (const model of served.models) {
      if (options.model !== undefined && options.model !== model.name) continue
      if (model.task === null) {
        console.log(`\n${model.name} is not served: ${model.error}`)
        continue
      }
      // An embedding by itself is neither right nor wrong.
      if (model.task === 'image-feature-extraction') continue
      if (drawn !== undefined) await evaluateDrawn(url, model, drawn)
      else
        for (const set of setsOf(model.name))
          print(`${model.name} on ${basename(set)}`, await evaluate(url, model, set))
    }
  } finally {
    await system?.stop()
    if (scratch !== undefined) rmSync(scratch, { recursive: true })
  }
}

await main()
