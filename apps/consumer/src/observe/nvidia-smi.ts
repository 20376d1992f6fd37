import { type ChildProcess, execFile, type ExecFileException } from 'node:child_process'

import type { GpuFigures } from '@vision-queue/protocol'

const fields = [
  'index',
  'uuid',
  'name',
  'utilization.gpu',
  'memory.used',
  'memory.total',
  'temperature.gpu',
  'power.draw',
] as const

/** What one run of nvidia-smi came to. `absent`: there is no such program. */
export type NvidiaSmiAnswer =
  | { kind: 'gpus'; gpus: GpuFigures[] }
  | { kind: 'absent' }
  | { kind: 'failed'; reason: string }

/** A run of nvidia-smi, which may hang for as long as the driver does. */
export interface NvidiaSmiRun {
  /** Never rejects. */
  answer: Promise<NvidiaSmiAnswer>
  kill(): void
}

/**
 * Asks `nvidia-smi`, as PATH has it, for its GPUs. It is killed after `timeoutMs`; its end is waited for, so that no
 * second one is started beside one that the driver holds.
 */
export function runNvidiaSmi(timeoutMs: number, env: Record<string, string | undefined>): NvidiaSmiRun {
  const args = [`--query-gpu=${fields.join(',')}`, '--format=csv,noheader,nounits']
  let child: ChildProcess | undefined
  const answer = new Promise<NvidiaSmiAnswer>((resolve) => {
    const limits = { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 1024 * 1024, encoding: 'utf8' } as const
    child = execFile('nvidia-smi', args, { ...limits, env }, (error, stdout, stderr) => {
      if (error !== null) resolve(failureOf(error, stderr || stdout, timeoutMs))
      else resolve(readGpus(stdout))
    })
    child.unref()
  })
  return { answer, kill: () => void child?.kill('SIGKILL') }
}

function failureOf(error: ExecFileException, said: string, timeoutMs: number) {
  if (error.code === 'ENOENT') return { kind: 'absent' } as const
  const why = error.killed === true ? `no answer within ${timeoutMs} ms` : said.trim().slice(0, 200) || error.message
  return { kind: 'failed', reason: why } as const
}

/** One GPU a line. A line that is none is passed over; where there are only such, the answer is a failure. */
export function readGpus(csv: string): NvidiaSmiAnswer {
  const lines = csv.split('\n').filter((line) => line.trim() !== '')
  const gpus = lines.flatMap((line) => readGpu(line) ?? [])
  if (gpus.length === 0 && lines.length > 0) {
    return { kind: 'failed', reason: `not understood: ${(lines[0] ?? '').slice(0, 200)}` }
  }
  return { kind: 'gpus', gpus }
}

function readGpu(line: string): GpuFigures | null {
  const values = line.split(',').map((value) => value.trim())
  // A name with a comma in it would put the rest out of order.
  if (values.length !== fields.length) return null
  const [index = '', uuid = '', name = '', ...figures] = values
  if (!/^\d+$/.test(index) || uuid === '') return null
  const [utilization, used, total, temperature, power] = figures.map(readFigure)
  const mebibyte = 1024 ** 2
  return {
    index: Number(index),
    uuid,
    name,
    utilization: scaled(utilization, 0.01),
    memoryUsedBytes: scaled(used, mebibyte),
    memoryTotalBytes: scaled(total, mebibyte),
    temperatureCelsius: temperature ?? null,
    powerWatts: power ?? null,
  }
}

/** Null for `[N/A]`, `[Not Supported]`, `[Unknown Error]` and the like. */
function readFigure(text: string): number | null {
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : null
}

function scaled(figure: number | null | undefined, by: number): number | null {
  return figure == null ? null : figure * by
}
