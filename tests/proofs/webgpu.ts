import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { jobSchema } from '@vision-queue/protocol'
import { z } from 'zod'

import { startSystem } from '../support/system.ts'
import { findSoftwareVulkan } from './software-vulkan.ts'

/**
 * `npm run proof:webgpu`: a shipped model end to end on the webgpu execution provider, on a machine without a GPU:
 * Vulkan runs on the CPU (SwiftShader). Compares the answers with the CPU provider's and shows what GET /models says.
 * It proves the way through Dawn and Vulkan, and says nothing of the speed of a GPU.
 */
const model = 'shapes-classify'
const images = 3
/** Of a score: float32 sums in another order. */
const mostDifference = 0.001

const root = new URL('../../', import.meta.url)
const examples = fileURLToPath(new URL(`models/${model}/1/examples/`, root))
const labelsSchema = z.array(z.object({ label: z.string(), score: z.number() }))
const shownSchema = z.object({
  version_details: z.array(z.object({ provider: z.string().nullable(), status: z.string(), variant: z.string() })),
})

type Labels = z.infer<typeof labelsSchema>

async function ask(url: string, image: Buffer): Promise<Labels> {
  const response = await fetch(`${url}/jobs?model=${model}`, {
    method: 'POST',
    headers: { 'Content-Type': 'image/png', Prefer: 'wait=60' },
    body: Uint8Array.from(image),
  })
  let job = jobSchema.parse(await response.json())
  while (job.completed_at === null) {
    job = jobSchema.parse(await (await fetch(`${url}/jobs/${job.id}?wait=60`)).json())
  }
  if (job.status !== 'succeeded') throw new Error(`${job.id} is ${job.status}: ${JSON.stringify(job.error)}`)
  return labelsSchema.parse(job.output?.['labels'])
}

async function answersOn(env: Record<string, string>): Promise<Labels[]> {
  const began = performance.now()
  const system = await startSystem({
    consumerEnv: { MODELS: model, ENGINES: '1', VARIANT: 'fp32', ENGINE_LOAD_TIMEOUT_MS: '600000', ...env },
  })
  try {
    const loadMs = performance.now() - began
    const shown = shownSchema.parse(await (await fetch(`${system.url}/models/${model}`)).json())
    console.log(`GET /models/${model}: ${JSON.stringify(shown.version_details[0])}, ${(loadMs / 1000).toFixed(1)} s`)
    const wanted = env['REQUIRE_PROVIDER'] ?? 'cpu'
    if (shown.version_details[0]?.provider !== wanted) throw new Error(`It does not run on ${wanted}.`)
    const answers: Labels[] = []
    for (const file of pictures) answers.push(await ask(system.url, readFileSync(`${examples}${file}`)))
    return answers
  } finally {
    await system.stop()
  }
}

const pictures = readdirSync(examples)
  .filter((file) => file.endsWith('.png'))
  .slice(0, images)
const vulkan = await findSoftwareVulkan(fileURLToPath(new URL('.vision-queue/software-vulkan', root))).catch(
  (error: unknown) => {
    console.error(`SKIPPED, nothing was proved: there is no Vulkan on the CPU here (${String(error)}).`)
    return process.exit(0)
  },
)
const onCpu = await answersOn({})
const webgpu = { EXECUTION_PROVIDERS: 'webgpu', REQUIRE_PROVIDER: 'webgpu', WARM_UP_LIMIT_MS: '1', ...vulkan }
const onWebgpu = await answersOn({ ...webgpu, RUN_TIMEOUT_MS: '600000' })
let worst = 0
for (const [index, labels] of onCpu.entries()) {
  const scores = new Map(onWebgpu[index]?.map(({ label, score }) => [label, score]))
  const first = onWebgpu[index]?.[0]?.label
  console.log(
    `${pictures[index]}: cpu ${labels[0]?.label} ${labels[0]?.score}, webgpu ${first} ${scores.get(first ?? '')}`,
  )
  if (first !== labels[0]?.label) throw new Error('The answers differ.')
  for (const { label, score } of labels) worst = Math.max(worst, Math.abs(score - (scores.get(label) ?? score)))
}
if (pictures.length === 0 || worst > mostDifference) throw new Error(`Scores differ by ${worst}.`)
console.log(`${pictures.length} answers agree; scores differ by ${worst} at most.`)
