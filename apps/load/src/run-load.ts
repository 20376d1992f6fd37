import { z } from 'zod'

import type { LoadPlan } from './load-plan.ts'
import { sendAtRate, sendByClients } from './pacing.ts'
import { openJobPoster } from './post-job.ts'
import { type Sample, sampleSchema } from './sample.ts'

export const loadRunSchema = z.object({
  /** In the order of their answers; those of the warm-up too. */
  samples: z.array(sampleSchema),
  /** How long was measured: the plan's duration, or less where it was stopped. */
  durationMs: z.number(),
  /** CPU time of this process during the measurement. */
  cpuSeconds: z.number(),
})
export type LoadRun = z.infer<typeof loadRunSchema>

export interface LoadEvents {
  /** The warm-up is over. */
  onStart?: () => void
  /** The last request is due; answers may still be under way. */
  onEnd?: () => void
  /** Told of each answer, those of the warm-up too. */
  onSample?: (sample: Sample) => void
  /** Told how many requests are under way, whenever that changes. */
  onUnderWay?: (count: number) => void
  /** Stops it: nothing more is sent, and what is under way is waited for. */
  signal?: AbortSignal
}

/** An open loop keeps at most so many requests under way: past that it is this process that gives in, and says so. */
const maxInFlight = 10_000

/** Puts a load on an API, from this process. Rejects only where a picture can't be read. */
export async function runLoad(plan: LoadPlan, events: LoadEvents = {}): Promise<LoadRun> {
  const { pace, requests } = plan
  const signal = events.signal ?? new AbortController().signal
  const poster = await openJobPoster(plan, pace.kind === 'clients' ? pace.clients : null)
  const samples: Sample[] = []
  const underWay = new Set<Promise<void>>()
  const startMs = performance.now() + plan.warmUpMs
  const endMs = startMs + plan.durationMs
  let next = 0

  const record = (sample: Sample): void => {
    samples.push(sample)
    events.onSample?.(sample)
  }
  const send = async (scheduledAtMs: number): Promise<void> => {
    const index = next++ % requests.length
    const label = requests[index]?.label ?? ''
    const [scheduledMs, sentMs] = [scheduledAtMs - startMs, performance.now() - startMs]
    if (underWay.size >= maxInFlight) {
      record({ ...notSent, label, scheduledMs, sentMs, doneMs: sentMs })
      return
    }
    const answered = poster
      .post(index)
      .then((answer) => record({ label, scheduledMs, sentMs, doneMs: performance.now() - startMs, ...answer }))
    underWay.add(answered)
    events.onUnderWay?.(underWay.size)
    await answered
    underWay.delete(answered)
    events.onUnderWay?.(underWay.size)
  }

  let cpuBefore = process.cpuUsage()
  let cpu = process.cpuUsage(cpuBefore)
  const starting = setTimeout(() => {
    cpuBefore = process.cpuUsage()
    events.onStart?.()
  }, plan.warmUpMs)
  let stoppedAtMs: number | null = null
  const end = (): void => {
    if (stoppedAtMs !== null) return
    stoppedAtMs = performance.now()
    cpu = process.cpuUsage(cpuBefore)
    events.onEnd?.()
  }
  const ending = setTimeout(end, plan.warmUpMs + plan.durationMs)
  signal.addEventListener('abort', end)

  try {
    const pacing = { endMs, send, signal }
    await (pace.kind === 'rate' ? sendAtRate({ ...pacing, ...pace }) : sendByClients({ ...pacing, ...pace }))
    await Promise.all(underWay)
  } finally {
    end()
    clearTimeout(starting)
    clearTimeout(ending)
    signal.removeEventListener('abort', end)
    await poster.close()
  }
  return {
    samples,
    durationMs: Math.max(0, Math.min(plan.durationMs, (stoppedAtMs ?? endMs) - startMs)),
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
  }
}

const notSent = {
  status: 0,
  outcome: 'not_sent',
  cached: false,
  times: null,
  retryAfterMs: null,
  serverMs: null,
} as const
