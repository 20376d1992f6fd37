import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { z } from 'zod'

import type { Tally } from '../windows/window.ts'

export const orderSchema = z.enum(['go', 'tally', 'pause'])
export type Order = z.infer<typeof orderSchema>

const tallySchema = z.object({
  jobs: z.int(),
  failures: z.int(),
  failure: z.string().nullable(),
  p50Ms: z.number().nullable(),
  p99Ms: z.number().nullable(),
  beyondP50Ms: z.number().nullable(),
  generated: z.object({ tokens: z.int(), firstTextMs: z.array(z.number()) }).optional(),
}) satisfies z.ZodType<Tally>

/** What a child answers: first that it can be used, then each order with a tally, which means something after `tally`. */
const replySchema = z.object({ tally: tallySchema })
export type Reply = z.infer<typeof replySchema>

/** A process that works while it is told to, see `serveDrive`. */
export interface Drive {
  pid: number
  go(): Promise<void>
  tally(): Promise<Tally>
  pause(): Promise<void>
  stop(): Promise<void>
}

/**
 * Starts one. `script`: a file of this folder that calls `serveDrive`; `options`: its argument, as JSON. Resolves once
 * it can be told to go. Where the process dies, whatever is asked of it rejects.
 */
export async function openDrive(script: string, options: unknown, env: Record<string, string> = {}): Promise<Drive> {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), [JSON.stringify(options)], {
    execArgv: ['--import', 'tsx'],
    env: { ...process.env, ...env },
  })
  const order = async (what: Order): Promise<Tally> => {
    const replied = replyOf(child, script)
    child.send(what)
    return replied
  }
  await replyOf(child, script)
  return {
    pid: child.pid ?? 0,
    go: async () => void (await order('go')),
    tally: async () => order('tally'),
    pause: async () => void (await order('pause')),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
  }
}

async function replyOf(child: ChildProcess, script: string): Promise<Tally> {
  const ended = new AbortController()
  try {
    const [reply] = await Promise.race([
      once(child, 'message', { signal: ended.signal }),
      once(child, 'exit', { signal: ended.signal }).then(() => {
        throw new Error(`${script} ended, see above`)
      }),
    ])
    return replySchema.parse(reply).tally
  } finally {
    ended.abort()
  }
}
