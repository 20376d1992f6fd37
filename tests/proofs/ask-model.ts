import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { jobSchema } from '@vision-queue/protocol'
import { type RunningProcess, startSystem } from '@vision-queue/test-support/system'
import { z } from 'zod'

import { judges } from '../evaluate/judges.ts'

const models = new URL('../../models/', import.meta.url)
const examplesSchema = z.array(z.looseObject({ image: z.string() }))
const shownSchema = z.object({
  task: z.string(),
  version_details: z.array(z.looseObject({ provider: z.string().nullable() })),
})

/** What is asked: in words, and as the body of `POST /jobs`. */
export interface Question {
  question: string
  body: string
}

/** What a model answered, in the questions' order. */
export interface Answers {
  /** What `GET /models/{name}` says of the version. */
  details: Record<string, unknown>
  /** The lines of `GET /metrics` about GPUs. */
  gpuMetrics: string[]
  outputs: { question: string; output: unknown }[]
}

/**
 * Starts API and consumer for one model, asks it one question after the other, and ends them. Rejects where the model
 * doesn't run on `provider`. `questions` is told the model's task.
 */
export async function askModel(
  model: string,
  {
    provider,
    env,
    questions,
  }: { provider: string; env: Record<string, string>; questions: (task: string) => Question[] },
): Promise<Answers> {
  const system = await startSystem({ consumers: 0 })
  try {
    const consumer = await system.addConsumer({
      MODELS: model,
      ENGINES: '1',
      VARIANT: 'fp32',
      GPU_POLL_MS: '1000',
      ...env,
    })
    const { task, version_details: versions } = await readyModel(`${system.url}/models/${model}`, consumer)
    const [details] = versions
    if (details?.provider !== provider) throw new Error(`${model} runs on ${details?.provider}, not on ${provider}.`)
    const outputs: Answers['outputs'] = []
    for (const { question, body } of questions(task)) {
      outputs.push({ question, output: await ask(system.url, body) })
    }
    const metrics = await (await fetch(`${system.url}/metrics`)).text()
    return { details, outputs, gpuMetrics: metrics.split('\n').filter((line) => line.startsWith('vision_queue_gpu_')) }
  } finally {
    await system.stop()
  }
}

/** A provider that compiles for each batch size may take minutes, so that this has no limit of its own. */
async function readyModel(url: string, consumer: RunningProcess): Promise<z.infer<typeof shownSchema>> {
  for (;;) {
    if (consumer.output().includes('can not be used')) throw new Error(consumer.output())
    const response = await fetch(url)
    const shown: unknown = await response.json()
    // Before a consumer has told of the model it is a problem, whose status is a number.
    const { status } = z.looseObject({ status: z.union([z.string(), z.int()]) }).parse(shown)
    if (response.ok && status === 'ready') return shownSchema.parse(shown)
    if (status === 'failed') throw new Error(JSON.stringify(shown))
    await new Promise((resolve) => {
      setTimeout(resolve, 200)
    })
  }
}

/** The examples beside a shipped model that are about one image. */
export function examplesOf(model: string, task: string): Question[] {
  const folder = new URL(`${model}/1/examples/`, models)
  const read = (file: string): Buffer => readFileSync(fileURLToPath(new URL(file, folder)))
  const examples = examplesSchema.parse(JSON.parse(read('examples.json').toString()))
  return examples
    .filter((example) => example['images'] === undefined)
    .map((example) => {
      const input = judges[task]?.(example).input
      if (input === undefined) throw new Error(`It is not known how examples of ${task} are asked.`)
      const image = read(example.image).toString('base64')
      return {
        question: `${example.image} ${JSON.stringify(input)}`,
        body: JSON.stringify({ model, input: { image, ...input } }),
      }
    })
}

async function ask(url: string, body: string): Promise<unknown> {
  const response = await fetch(`${url}/jobs`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Prefer: 'wait=60' },
    body,
  })
  let job = jobSchema.parse(await response.json())
  while (job.completed_at === null) {
    job = jobSchema.parse(await (await fetch(`${url}/jobs/${job.id}?wait=60`)).json())
  }
  if (job.status !== 'succeeded') throw new Error(`${job.id} is ${job.status}: ${JSON.stringify(job.error)}`)
  return job.output
}
