import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { type Answers, askModel, examplesOf, type Question } from './ask-model.ts'
import { compareOutputs, worst } from './compare-outputs.ts'
import { findVulkan, type Vulkan } from './vulkan.ts'

/**
 * `npm run proof:webgpu -- [model…]`: shipped models (shapes-classify, if none is named) end to end on the webgpu
 * execution provider. It runs on the machine's GPU where its Vulkan can be used, and else on the CPU (SwiftShader), which
 * proves the way through Dawn and Vulkan and says nothing of a GPU's speed. Compares the answers with the CPU provider's,
 * shows what GET /models and GET /metrics say, and, on a GPU, how long batches take on both.
 */
const named = process.argv.slice(2)
const models = named.length === 0 ? ['shapes-classify'] : named
/** Of two numbers in two outputs; see compareOutputs. */
const mostDifference = 0.001
/** SwiftShader takes seconds for each image. */
const examplesOnCpu = 3

const root = fileURLToPath(new URL('../../', import.meta.url))
const vulkan = await findVulkan(`${root}.vision-queue/software-vulkan`).catch((error: unknown) => {
  console.error(`SKIPPED, nothing was proved: there is no Vulkan here, nor one on the CPU (${String(error)}).`)
  return process.exit(0)
})
console.log(`webgpu over ${vulkan.description}`)
const failures: string[] = []
for (const model of models) failures.push(...(await prove(model, vulkan)).map((problem) => `${model}: ${problem}`))
if (failures.length > 0) throw new Error(failures.join('\n'))

/** Resolves to what differs. */
async function prove(model: string, { env, isOwn }: Vulkan): Promise<string[]> {
  const questions = (task: string): Question[] => examplesOf(model, task).slice(0, isOwn ? Infinity : examplesOnCpu)
  const onCpu = await askModel(model, { provider: 'cpu', env: {}, questions })
  const slow = { ENGINE_LOAD_TIMEOUT_MS: '600000', RUN_TIMEOUT_MS: '600000' }
  const onWebgpu = await askModel(model, {
    provider: 'webgpu',
    questions,
    env: {
      ...env,
      EXECUTION_PROVIDERS: 'webgpu',
      REQUIRE_PROVIDER: 'webgpu',
      // On the CPU shaders are compiled and run for seconds for each batch size.
      ...(isOwn ? {} : { ...slow, WARM_UP_LIMIT_MS: '1' }),
    },
  })
  for (const { details } of [onCpu, onWebgpu]) console.log(`GET /models/${model}: ${JSON.stringify(details)}`)
  for (const line of onWebgpu.gpuMetrics) console.log(`GET /metrics: ${line}`)
  const problems = compare(onCpu, onWebgpu)
  if (isOwn) await time(model)
  return problems
}

function compare(onCpu: Answers, onWebgpu: Answers): string[] {
  const differences = onCpu.outputs.map(({ question, output }, index) => {
    const other = onWebgpu.outputs[index]?.output
    const difference = compareOutputs(output, other)
    console.log(
      `${question.slice(0, 120)}: ${JSON.stringify(other).slice(0, 120)}, cpu differs by ${difference.number}`,
    )
    return { ...difference, else: difference.else.map((what) => `${question}: ${what}`) }
  })
  const most = worst(differences)
  console.log(
    `${differences.length} answers: ${differences.length - differences.filter((one) => one.else.length > 0).length} alike, numbers differ by ${most.number} at most`,
  )
  if (differences.length === 0) return ['it has no examples']
  return [...most.else, ...(most.number > mostDifference ? [`numbers differ by ${most.number}`] : [])]
}

/** Prints how long batches take on both providers, in this process's environment. */
async function time(model: string): Promise<void> {
  for (const provider of ['cpu', 'webgpu']) {
    const script = `${root}packages/engine/src/check-model.ts`
    const args = [`${root}models/${model}/1`, '--providers', provider, '--variant', 'fp32', '--threads', '64']
    const run = promisify(execFile)(process.execPath, ['--import', 'tsx', script, ...args], { cwd: root })
    // A process that used webgpu may end by a signal after its work.
    const said = await run.catch((error: unknown) => (error instanceof Error && 'stdout' in error ? error : null))
    console.log(`models:check on ${provider}:\n${String(said?.stdout)}`)
  }
}
