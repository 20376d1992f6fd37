import { fileURLToPath } from 'node:url'

import { jobResponseSchema } from '@vision-queue/protocol'
import { final, forms, readMetric } from '@vision-queue/test-support/client'
import type { Example } from '@vision-queue/test-support/examples'

import { freshExample } from './load.ts'
import { type Finding, type Scenario, sleep } from './scenario.ts'
import { underLoad, type UnderLoad } from './under-load.ts'

const poisons = {
  '(crash)': 'crashes its engine natively',
  '(hang)': 'never returns from its run',
  '(eat)': 'takes ever more memory',
} as const
type Poison = keyof typeof poisons

const runTimeoutMs = 3000

/** Jobs that harm the engine that runs them, among others that don't. */
export const poison: Scenario = {
  name: 'poison',
  title: 'jobs that crash, hang or starve their engine, among others',
  async run({ form, say, composition }) {
    return underLoad(
      {
        composition,
        engineEntry: fileURLToPath(new URL('../e2e/unruly/engine.ts', import.meta.url)),
        consumerEnv: { RUN_TIMEOUT_MS: String(runTimeoutMs), ENGINES: '1', ENGINE_MEMORY_LIMIT_MB: '500' },
      },
      async (setting) => {
        const findings: Finding[] = []
        for (const kind of Object.keys(poisons).filter((name): name is Poison => name in poisons)) {
          findings.push(await poisonOnce(setting, kind, form === 'short' ? 500 : 5000))
          say(`${kind} done`)
        }
        return findings
      },
    )
  },
}

async function poisonOnce({ system, load, finding }: UnderLoad, kind: Poison, loadMs: number): Promise<Finding> {
  const running = load({ clients: 3, pauseMs: 100 })
  await sleep(loadMs)
  const bad = freshExample(kind)
  const first = await submitAlone(system.url, bad)
  const firstFinal = await final(system.url, first)
  const restartsBefore = await restarts(system.url)
  // The same picture with an honest question: it is the picture that is remembered.
  const again = await final(system.url, await submitAlone(system.url, { ...bad, question: 'How many?' }))
  const restartsAfter = await restarts(system.url)
  await sleep(loadMs)
  const counts = await running.stop()
  const crashed = firstFinal.error?.code === 'engine_crashed'
  const refused = again.error?.code === 'engine_crashed' && restartsAfter === restartsBefore
  const told = await finding(`a job ${poisons[kind]}`, counts, {
    held: crashed && refused,
    figures: {
      'the poison ended as': firstFinal.error?.code ?? firstFinal.status,
      'the same image again ended as': again.error?.code ?? again.status,
      'engines that it cost again': restartsAfter - restartsBefore,
    },
  })
  // The clients' own jobs: none may have failed.
  return { ...told, held: told.held && told.figures['failed'] === 0 }
}

/** Where the queue is full of the others' jobs it tries again, as every client should. */
async function submitAlone(url: string, example: Example): Promise<string> {
  for (let tries = 0; tries < 120; tries += 1) {
    const response = await forms.raw(url, example)
    if (response.status === 202) return jobResponseSchema.parse(await response.json()).id
    if (response.status !== 429) throw new Error(`Not accepted: ${response.status}`)
    await sleep(500)
  }
  throw new Error('Not accepted within a minute')
}

/** How often engines were started again, once that no longer changes: it is announced with the heartbeat. */
async function restarts(url: string): Promise<number> {
  for (let last = NaN; ;) {
    await sleep(1000)
    const now = (await readMetric(url, 'vision_queue_engine_restarts_total'))[0]?.value ?? 0
    if (now === last) return now
    last = now
  }
}
