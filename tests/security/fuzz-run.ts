import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { answerOf, final, read, submit } from '@vision-queue/test-support/client'
import { readExamples } from '@vision-queue/test-support/examples'
import { type RunningProcess, startSystem, type System } from '@vision-queue/test-support/system'

import { exchange } from './http-message.ts'
import { type FuzzInput, openInputs } from './inputs.ts'
import { judge, judgeJob } from './judge.ts'
import type { TargetModel } from './served-tasks.ts'
import { type Vitals, watchVitals } from './vitals.ts'

export interface FuzzOptions {
  seed: number
  /** How many inputs are sent, from this index on. */
  inputs: number
  from?: number
  models: readonly TargetModel[]
  /** How many are under way at a time. */
  concurrency?: number
  say?: (line: string) => void
}

export interface Finding {
  index: number
  kind: string
  how: string
  outcome: string
  faults: string[]
}

export interface FuzzReport {
  sent: number
  /** Inputs by kind and by what became of them. */
  outcomes: Map<string, number>
  findings: Finding[]
  /** Sound submissions in between, and how many of them had the right answer. */
  sound: { sent: number; right: number }
  vitals: Vitals
  /** Processes that ended, by name. */
  ended: string[]
  /** Where the inputs behind the findings lie; null where there are none. */
  folder: string | null
}

const soundEvery = 25

/** Starts a whole system, sends it hostile inputs and sound ones in between, and judges every answer. */
export async function runFuzz(options: FuzzOptions): Promise<FuzzReport> {
  const makeInput = await openInputs(options.seed, options.models)
  const system = await startSystem({
    consumers: 0,
    apiEnv: { QUEUE_MAX_JOBS: '100000' },
    consumerEnv: { MODELS: options.models.map(({ name }) => name).join(','), ENGINES: '1' },
  })
  try {
    const consumer = await system.addConsumer()
    // Six models on a busy machine take their time.
    await system.waitForConsumers(1).catch(async () => system.waitForConsumers(1))
    return await attack(system, consumer, makeInput, options)
  } finally {
    await system.stop()
  }
}

async function attack(
  system: System,
  consumer: RunningProcess,
  makeInput: (index: number) => FuzzInput,
  { inputs, from = 0, concurrency = 16, say = () => {} }: FuzzOptions,
): Promise<FuzzReport> {
  const [api] = system.apis
  if (api === undefined) throw new Error('There is nothing to attack')
  const port = Number(new URL(api.url).port)
  const ended: string[] = []
  const watch = async (name: string, { exited }: RunningProcess): Promise<void> => {
    const { code, signal } = await exited
    ended.push(`${name} ended with ${signal ?? code}`)
  }
  const watches = [watch('the API', api), watch('the consumer', consumer)]
  const report: Omit<FuzzReport, 'vitals' | 'folder'> = {
    sent: 0,
    outcomes: new Map(),
    findings: [],
    sound: { sent: 0, right: 0 },
    ended,
  }
  const check = await openSoundCheck(system.url)
  const vitals = watchVitals(system.url, { apiPid: api.pid, consumerPid: consumer.pid })

  let next = from
  const send = async (): Promise<void> => {
    while (next < from + inputs && ended.length === 0) {
      const index = next
      next += 1
      const input = makeInput(index)
      const { outcome, faults } = await fateOf(system.url, port, input)
      report.sent += 1
      const key = `${input.kind}: ${outcome}`
      report.outcomes.set(key, (report.outcomes.get(key) ?? 0) + 1)
      if (faults.length > 0) report.findings.push({ index, kind: input.kind, how: input.how, outcome, faults })
      if (report.sent % soundEvery === 0) {
        report.sound.sent += 1
        if (await check(report.sent / soundEvery)) report.sound.right += 1
      }
      if (report.sent % 500 === 0) say(`${report.sent} inputs, ${report.findings.length} findings`)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, send))
  const worst = await vitals.stop()
  const broken = [...ended]
  // From here on it is the stop that ends them.
  void Promise.allSettled(watches)
  return { ...report, ended: broken, vitals: worst, folder: keep(report.findings, makeInput) }
}

/** Sends one input and follows it to its end. */
async function fateOf(url: string, port: number, input: FuzzInput): Promise<{ outcome: string; faults: string[] }> {
  // What is no HTTP may leave the server waiting for more.
  const answer = await exchange(port, input.bytes, { timeoutMs: input.maybeSilent ? 3000 : 90_000 })
  const verdict = judge(answer, input)
  if (verdict.jobId === null) return verdict
  try {
    const ended = judgeJob(await final(url, verdict.jobId))
    return { outcome: `202 ${ended.outcome}`, faults: [...verdict.faults, ...ended.faults] }
  } catch (error) {
    const last = await read(url, verdict.jobId).catch(() => null)
    return { outcome: `202 ${last?.status ?? 'unknown'}`, faults: [...verdict.faults, String(error)] }
  }
}

/** A sound submission's check: whether it is answered as it was before the attack. */
async function openSoundCheck(url: string): Promise<(turn: number) => Promise<boolean>> {
  const examples = readExamples()
  const ask = async (example: (typeof examples)[number]): Promise<string | undefined> =>
    answerOf(await final(url, await submit(url, example)))
  const expected = await Promise.all(examples.map(ask))
  return async (turn) => {
    const at = turn % examples.length
    const example = examples[at]
    if (example === undefined) throw new Error('There are no examples')
    const answer = await ask(example).catch(() => undefined)
    return answer !== undefined && answer === expected[at]
  }
}

/** Writes the inputs behind the findings to a folder, for a look or another try. */
function keep(findings: readonly Finding[], makeInput: (index: number) => FuzzInput): string | null {
  if (findings.length === 0) return null
  const folder = mkdtempSync(join(tmpdir(), 'vision-queue-fuzz-'))
  for (const { index } of findings) writeFileSync(join(folder, `${index}.http`), makeInput(index).bytes)
  writeFileSync(join(folder, 'findings.json'), JSON.stringify(findings, null, 2))
  return folder
}
