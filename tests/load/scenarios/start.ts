import { type ChildProcess, fork, spawn } from 'node:child_process'
import { on, once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { median } from '@vision-queue/load/statistics'
import { freePort } from '@vision-queue/local/free-port'
import { z } from 'zod'

import { cpuSeconds, readMachine, treeOf } from '../processes.ts'
import type { Scenario } from '../scenario.ts'
import { table } from '../tables.ts'
import { doubtOf, lowerQuartile } from '../windows/rounds.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const model = join(root, 'models/shapes-vqa/1')
const require = createRequire(import.meta.url)

/** One start: until it was of use, and what it cost by then. */
interface Started {
  ms: number
  cpuMs: number
  othersShare: number
}

/** How programs are run; see packages/bundles. */
const ways = [
  { name: 'from bundles', env: {} },
  { name: 'by tsx', env: { BUNDLES: 'off' } },
] as const

const kinds = [
  { name: 'an engine (shapes-vqa), until it takes jobs', start: startEngine, limitMs: 600 },
  { name: 'npm start, until the first answer', start: startAll, limitMs: 5000 },
] as const

/** How long one waits for an engine and for the whole, by both ways of running them in turn. */
export const start: Scenario = {
  name: 'start',
  title: 'Starting',
  usual: true,
  async run({ say, quick, folder }) {
    const runs = kinds.flatMap((kind) => ways.map((way) => ({ kind, way, started: new Array<Started>() })))
    for (let round = 0; round < (quick ? 1 : 6); round += 1) {
      for (const { kind, way, started } of runs) {
        const one = await kind.start(way.env, join(folder, `start-${round}-${way.name}`))
        // The first makes the bundles.
        if (round > 0 || quick) started.push(one)
        say(`${kind.name}, ${way.name}: ${one.ms.toFixed(0)} ms`)
      }
    }
    return {
      notes: [
        'All is installed and the bundles are made; each npm start has a new DATA_DIR, and an answer of the model itself is waited for. Lower quartiles; CPU time of all processes that still run then.',
      ],
      targets: runs.flatMap(({ kind, way, started }) =>
        way !== ways[0]
          ? []
          : {
              name: kind.name,
              sense: 'at most' as const,
              limit: kind.limitMs,
              unit: 'ms',
              measured: lowerQuartile(started.map(({ ms }) => ms)),
              digits: 0,
              note: null,
              doubt: doubtOf(started.map(({ othersShare }) => othersShare)),
            },
      ),
      tables: [
        table(
          'Starts',
          ['what', 'how', 'ms', 'CPU ms', ['others, %', 0]],
          runs.map(({ kind, way, started }) => [
            kind.name,
            way.name,
            lowerQuartile(started.map(({ ms }) => ms)),
            lowerQuartile(started.map(({ cpuMs }) => cpuMs)),
            100 * median(started.map(({ othersShare }) => othersShare)),
          ]),
        ),
      ],
    }
  },
}

const readySchema = z.object({ kind: z.literal('ready') })

async function startEngine(env: Record<string, string>): Promise<Started> {
  const clock = startClock()
  const options = { name: 'shapes-vqa', version: '1', folder: model, intraOpThreads: 1, maxImagePixels: 50_000_000 }
  const entry = require.resolve('@vision-queue/engine/process')
  const child = fork(require.resolve('@vision-queue/bundles/run'), [entry, JSON.stringify(options)], {
    serialization: 'advanced',
    env: { ...env, ORT_DISABLE_TELEMETRY: '1', UV_THREADPOOL_SIZE: '2' },
    execArgv: ['--disallow-code-generation-from-strings'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  try {
    await Promise.race([ready(child), exited.then(() => Promise.reject(new Error('the engine ended')))])
    return clock(child.pid)
  } finally {
    child.kill('SIGKILL')
    await exited
  }
}

/** Resolves when the engine can take jobs; before that it tells how far it is. */
async function ready(child: ChildProcess): Promise<void> {
  for await (const [message] of on(child, 'message')) {
    if (readySchema.safeParse(message).success) return
  }
}

async function startAll(env: Record<string, string>, dataFolder: string): Promise<Started> {
  const port = await freePort()
  const { PATH = '', HOME = '' } = process.env
  const clock = startClock()
  const child = spawn('npm', ['start'], {
    cwd: root,
    env: { PATH, HOME, ...env, PORT: String(port), DATA_DIR: dataFolder },
    stdio: 'ignore',
    detached: true,
  })
  const exited = once(child, 'exit')
  try {
    await Promise.race([firstAnswer(port), exited.then(() => Promise.reject(new Error('npm start ended')))])
    return clock(child.pid)
  } finally {
    child.kill('SIGINT')
    await exited
  }
}

/** Asks what the README asks, from when something listens. */
async function firstAnswer(port: number): Promise<void> {
  const form = new FormData()
  form.set('model', 'shapes-vqa')
  form.set('question', 'What is the color of the little cross?')
  form.set('image', new Blob([await readFile(join(model, 'examples/scene-01.jpg'))]), 'scene-01.jpg')
  for (const end = performance.now() + 120_000; performance.now() < end; await sleep(20)) {
    const response = await fetch(`http://127.0.0.1:${port}/jobs`, {
      method: 'POST',
      headers: { prefer: 'wait=60' },
      body: form,
    }).catch(() => null)
    if (response?.status === 200) return
  }
  throw new Error('npm start gave no answer')
}

function startClock(): (pid: number | undefined) => Started {
  const [startedAt, before] = [performance.now(), readMachine()]
  return (pid) => {
    const ms = performance.now() - startedAt
    const { idleSeconds, cores } = readMachine()
    const own = pid === undefined ? 0 : treeOf(pid).reduce((sum, each) => sum + cpuSeconds(each), 0)
    const all = (ms / 1000) * cores
    const others = (all - (idleSeconds - before.idleSeconds) - own) / all
    return { ms, cpuMs: own * 1000, othersShare: Math.max(0, others) }
  }
}
