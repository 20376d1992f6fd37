import { percentile } from '@vision-queue/load/statistics'
import type { Table } from '@vision-queue/load/html-page'

import { chatModel, chatQuestions, oneAtATime, shippedModels } from '../chat-corpus.ts'
import { nameOf, startVariant } from '../compositions.ts'
import type { Target } from '../figures.ts'
import type { Scenario, ScenarioContext } from '../scenario.ts'
import { stopAll } from '../services.ts'
import { createAskChat } from '../subjects/ask-chat.ts'
import { openChatSubject } from '../subjects/chat-load.ts'
import type { ChatQuestion } from '../subjects/chat-plan.ts'
import type { Server } from '../subjects/http-load.ts'
import type { Subject } from '../subjects/subject.ts'
import { startTransformers } from '../subjects/transformers.ts'
import { table } from '../tables.ts'
import { measureRounds, warmUp } from '../windows/measure.ts'
import { costOf, type Judged, lowerQuartile, windowsOf } from '../windows/rounds.ts'
import type { Window } from '../windows/window.ts'

const serviceName = 'service'
const aloneName = 'service, one answer at a time'
const clientCounts = [1, 8, 32]
/** Windows of this scenario in those of the others: an answer takes a good part of a second where many are asked. */
const longerWindows = 4

type StoppableServer = Server & { stop(): Promise<void> }

/** What it is worth that answers are generated together. */
export const chat: Scenario = {
  name: 'chat',
  title: 'Chats: answers that are generated together',
  usual: true,
  async run(context) {
    const questions = await chatQuestions()
    const servers: StoppableServer[] = []
    try {
      await openServers(context, servers)
      const agreement = await compareTexts(context, servers, questions)
      const warmUpJobs = Math.min(context.plan.warmUpJobs, 300)
      for (const server of servers) {
        const subject = await openChatSubject(server, { model: chatModel, clients: 8, questions })
        try {
          await warmUp(subject, warmUpJobs)
        } finally {
          await subject.stop()
        }
      }
      const found = []
      for (const clients of context.quick ? [1, 8] : clientCounts) {
        found.push(await measureAt(context, servers, { clients, questions }))
      }
      return {
        notes: [
          `${chatModel} and ${questions.length} questions with long answers about its example pictures, streamed from /v1/chat/completions; API, queue, consumer and one engine of one thread, all settings at their defaults. No two images have the same bytes and all answers are greedy, so that neither kept answers nor known images help. Beside it the same service with max_batch_size 1 and, behind a plain server without a queue, Transformers.js' own generate on the same folder, fp32, one thread, one question after the other; its server tells the first token at once and the rest at the end. ${agreement}`,
          `Tokens are counted as their answers end. Time to first text is what clients see, from their request on, over all answers of the windows; in closed loops of many clients most of it is waiting for a turn. Windows of ${((context.plan.windowMs * longerWindows) / 1000).toFixed(1)} s, in turn after ${warmUpJobs} answers of each; lower quartiles of the time a token took.`,
        ],
        targets: found.flatMap(({ targets }) => targets),
        tables: found.map((each) => each.table),
      }
    } finally {
      await Promise.all(servers.map(async ({ stop }) => stop()))
    }
  },
}

/** Starts what is compared, adding it to `servers`. */
async function openServers({ folder, variants }: ScenarioContext, servers: StoppableServer[]): Promise<void> {
  const settings = { MODELS: chatModel, ENGINES: '1' }
  const alone = { ...settings, MODEL_REPOSITORY: await oneAtATime(folder) }
  for (const variant of variants.filter(({ composition }) => composition === 'apart')) {
    const at = variant.revision === null ? '' : ` (${nameOf(variant)})`
    servers.push({ ...(await startVariant(variant, 'real', settings)), name: `${serviceName}${at}` })
    if (at === '') servers.push({ ...(await startVariant(variant, 'real', alone)), name: aloneName })
  }
  servers.push(await startTransformers({ folders: `${shippedModels}/`, model: `${chatModel}/1`, threads: 1 }))
}

/** Asks each server each question once, and tells how often all give the same text. */
async function compareTexts(
  { say, quick }: ScenarioContext,
  servers: readonly Server[],
  questions: readonly ChatQuestion[],
): Promise<string> {
  const texts: string[][] = []
  const asked = quick ? questions.slice(0, 4) : questions
  for (const { url } of servers) {
    const ask = createAskChat({ url, model: chatModel })
    const own: string[] = []
    for (const question of asked) own.push((await ask(question, AbortSignal.timeout(60_000))).text.trim())
    texts.push(own)
  }
  const same = asked.filter((_, at) => new Set(texts.map((own) => own[at])).size === 1).length
  const said = `All of them gave the same text to ${same} of ${asked.length} questions.`
  say(said)
  return said
}

async function measureAt(
  { plan, say }: ScenarioContext,
  servers: readonly Server[],
  { clients, questions }: { clients: number; questions: ChatQuestion[] },
): Promise<{ targets: Target[]; table: Table }> {
  const subjects: Subject[] = []
  try {
    for (const server of servers) {
      subjects.push(await openChatSubject(server, { model: chatModel, clients, questions }))
    }
    const judged = await measureRounds(subjects, { ...plan, windowMs: plan.windowMs * longerWindows }, say)
    const who = clients === 1 ? '1 client' : `${clients} clients`
    return { targets: targetsOf(judged, clients, who), table: chatTable(judged, who) }
  } finally {
    await stopAll(subjects)
  }
}

/** What is promised, by clients: of its own one-at-a-time generation. */
const limits: Readonly<Record<number, number>> = { 1: 0.9, 8: 2, 32: 3 }

function targetsOf({ rounds, doubt }: Judged, clients: number, who: string): Target[] {
  const limit = limits[clients]
  if (limit === undefined) return []
  const [own, alone] = [windowsOf(rounds, serviceName), windowsOf(rounds, aloneName)].map(tokensPerSecond)
  if (own === undefined || alone === undefined) return []
  return [
    {
      name: `Tokens/s with ${who}, of those of one answer at a time`,
      sense: 'at least',
      limit,
      unit: 'x',
      measured: own / alone,
      digits: 2,
      note: `${own.toFixed(0)} and ${alone.toFixed(0)} tokens/s`,
      doubt,
    },
  ]
}

/** As the lower quartile of the time that a token took. */
function tokensPerSecond(windows: readonly Window[]): number {
  return 1 / lowerQuartile(windows.map(({ seconds, generated }) => seconds / (generated?.tokens ?? 0)))
}

function chatTable({ rounds }: Judged, who: string): Table {
  const names = [...(rounds[0]?.keys() ?? [])]
  const alone = tokensPerSecond(windowsOf(rounds, aloneName))
  return table(
    who,
    [
      '',
      ['tokens/s', 0],
      ['of one at a time', 2],
      ['first text p50 ms', 0],
      ['p99 ms', 0],
      ['whole answer p50 ms', 0],
      ['tokens an answer', 1],
      'CPU us a token',
      'answers',
      'failures',
    ],
    names.map((name) => {
      const windows = windowsOf(rounds, name)
      const firsts = windows.flatMap(({ generated }) => generated?.firstTextMs ?? [])
      const rate = tokensPerSecond(windows)
      const [tokens, jobs, failures] = [
        sum(windows, ({ generated }) => generated?.tokens ?? 0),
        sum(windows, (window) => window.jobs),
        sum(windows, (window) => window.failures),
      ]
      return [
        name,
        rate,
        rate / alone,
        percentile(firsts, 0.5),
        percentile(firsts, 0.99),
        lowerQuartile(windows.map(({ p50Ms }) => p50Ms ?? Number.NaN)),
        tokens / jobs,
        costOf(windows).us / (tokens / jobs),
        jobs,
        failures,
      ]
    }),
  )
}

function sum(windows: readonly Window[], of: (window: Window) => number): number {
  return windows.reduce((total, window) => total + of(window), 0)
}
