import { readFileSync } from 'node:fs'

import { readMetric } from '@vision-queue/test-support/client'

import { childrenOf } from '../load/processes.ts'

/** How the processes fared while they were watched. */
export interface Vitals {
  /** The most resident memory that each process had, in MiB; of the engines the largest one's. */
  apiMib: number
  consumerMib: number
  engineMib: number
  /** The longest that an event loop stood still, in milliseconds. */
  apiLoopMs: number
  consumerLoopMs: number
  /** Engines that died and were started again. */
  engineRestarts: number
}

/** Looks at API, consumer and engines again and again; `stop` looks once more and tells the worst of all looks. */
export function watchVitals(
  url: string,
  { apiPid, consumerPid }: { apiPid: number; consumerPid: number },
  everyMs = 500,
): { stop(): Promise<Vitals> } {
  const worst: Vitals = { apiMib: 0, consumerMib: 0, engineMib: 0, apiLoopMs: 0, consumerLoopMs: 0, engineRestarts: 0 }
  const raise = (name: keyof Vitals, values: readonly number[]): void => {
    worst[name] = Math.max(worst[name], ...values)
  }
  const look = async (): Promise<void> => {
    raise('apiMib', [residentMib(apiPid)])
    raise('consumerMib', [residentMib(consumerPid)])
    raise('engineMib', childrenOf(consumerPid).map(residentMib))
    const seconds = async (name: string): Promise<number[]> =>
      (await readMetric(url, name)).map(({ value }) => Math.round(value * 1000))
    raise('apiLoopMs', await seconds('nodejs_eventloop_lag_max_seconds'))
    raise('consumerLoopMs', await seconds('vision_queue_consumer_event_loop_delay_seconds'))
    const restarts = await readMetric(url, 'vision_queue_engine_restarts_total')
    raise('engineRestarts', [restarts.reduce((sum, { value }) => sum + value, 0)])
  }
  // The pauses of its start, which this look takes away, are no answer to anything.
  const before = readMetric(url, 'nodejs_eventloop_lag_max_seconds')
  const stopping = new AbortController()
  const watching = (async () => {
    await before
    while (!stopping.signal.aborted) {
      await look()
      await new Promise((resolve) => {
        setTimeout(resolve, everyMs)
      })
    }
  })()
  return {
    async stop() {
      stopping.abort()
      await watching
      await look()
      return worst
    },
  }
}

/** By the kernel's account; 0 for a process that is gone, or where there is no /proc. */
function residentMib(pid: number): number {
  try {
    const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Math.round(Number(kib ?? 0) / 1024)
  } catch {
    return 0
  }
}
