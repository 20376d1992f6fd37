import type { GpuFigures } from '@vision-queue/protocol'
import type { Logger } from 'pino'

import { type NvidiaSmiRun, runNvidiaSmi } from './nvidia-smi.ts'

/** What the GPUs of this machine do, for the announcement. */
export interface GpuGauge {
  /** None where nvidia-smi is not there, or has said nothing for three looks. */
  read(): GpuFigures[]
  close(): void
}

interface Options {
  /** The pause between two looks; 0: nothing is looked at. */
  pollMs: number
  /** Of nvidia-smi. */
  env: Record<string, string | undefined>
  log: Logger
}

/** Longer than nvidia-smi takes on a machine of many GPUs without the persistence daemon. */
const longestRunMs = 10_000
const missedLooks = 3

/**
 * Looks at the GPUs every `pollMs` by nvidia-smi, one process at a time. Where it isn't on PATH the first look is the
 * last. What goes wrong is logged once, until it goes right again or goes wrong in another way.
 */
export function startGpuGauge({ pollMs, env, log }: Options): GpuGauge {
  let latest: { gpus: GpuFigures[]; at: number } | null = null
  let timer: NodeJS.Timeout | undefined
  let run: NvidiaSmiRun | undefined
  let reported = ''
  let closed = false

  const look = async (): Promise<void> => {
    run = runNvidiaSmi(longestRunMs, env)
    const answer = await run.answer
    if (closed || answer.kind === 'absent') return
    if (answer.kind === 'gpus') {
      latest = { gpus: answer.gpus, at: performance.now() }
      reported = ''
    } else if (answer.reason !== reported) {
      reported = answer.reason
      log.warn({ reason: answer.reason }, 'nvidia-smi does not tell of the GPUs')
    }
    timer = setTimeout(() => void look(), pollMs)
    timer.unref()
  }
  if (pollMs > 0) void look()

  return {
    read() {
      const isFresh = latest !== null && performance.now() - latest.at < missedLooks * pollMs + longestRunMs
      return isFresh ? (latest?.gpus ?? []) : []
    },
    close() {
      closed = true
      clearTimeout(timer)
      run?.kill()
    },
  }
}
