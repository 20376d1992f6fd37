import type { BatchRun, Launch } from '@vision-queue/engine/messages'
import type { BatchCost, GenerationFigures, ModelStats } from '@vision-queue/protocol'

import type { Pool } from './pool.ts'
import { jobsPerSecond } from './pool-capacity.ts'

/** What a pool has done since it was made. */
export type PoolFigures = Pick<ModelStats, 'batches' | 'jobs' | 'inferenceMs' | 'preprocessMs' | 'launches'> & {
  /** Sums over all processes that its engines have had. */
  generated: Pick<GenerationFigures, (typeof generationSums)[number]>
}

/** Those of an engine's figures that only grow. */
const generationSums = ['encodeMs', 'prefillMs', 'decodeMs', 'imagesKnown', 'imagesNew'] as const
/** Those that tell how it is now. */
const generationStates = ['running', 'waiting', 'reservedBytes', 'heldBytes', 'limitBytes'] as const

export function newPoolFigures(): PoolFigures {
  const launches = { reasons: {}, predicted: 0, predictedMs: 0, actualMs: 0 }
  const generated = { encodeMs: 0, prefillMs: 0, decodeMs: 0, imagesKnown: 0, imagesNew: 0 }
  return { batches: {}, jobs: {}, inferenceMs: 0, preprocessMs: 0, launches, generated }
}

/** Counts session runs. */
export function countRuns(figures: PoolFigures, runs: readonly BatchRun[]): void {
  for (const { size, runMs } of runs) {
    figures.batches[size] = (figures.batches[size] ?? 0) + 1
    figures.inferenceMs += runMs
  }
}

/** Counts what a process generated since it last said what it did; what its warm-up did came with `ready`. */
export function countGeneration(
  { generated }: PoolFigures,
  before: GenerationFigures | null,
  now: GenerationFigures | null,
): void {
  if (now === null) return
  for (const key of generationSums) generated[key] += now[key] - (before?.[key] ?? 0)
}

/** Counts launches, and what the engine had thought they would take. */
export function countLaunches({ launches: counted }: PoolFigures, launches: readonly Launch[]): void {
  for (const { reason, predictedMs, actualMs } of launches) {
    counted.reasons[reason] = (counted.reasons[reason] ?? 0) + 1
    if (predictedMs === null) continue
    counted.predicted += 1
    counted.predictedMs += predictedMs
    counted.actualMs += actualMs
  }
}

/** Counts a job by how it ended. */
export function countJob(
  figures: PoolFigures,
  outcome: 'succeeded' | 'failed' | 'expired' | 'canceled',
  preprocessMs = 0,
): void {
  figures.jobs[outcome] = (figures.jobs[outcome] ?? 0) + 1
  figures.preprocessMs += preprocessMs
}

/** What a pool tells of itself. `cores`: of this machine. */
export function poolStats({ engines, figures, capacity, settings }: Pool, cores: number): ModelStats {
  const cost = meanCost(engines.flatMap((engine) => engine.cost ?? []))
  const { generated, ...counted } = figures
  const generation = generationOf(engines, generated)
  return {
    ...structuredClone(counted),
    ...(generation === null ? {} : { generation }),
    engineRestarts: engines.reduce((sum, { restarts }) => sum + restarts, 0),
    cost,
    ...(settings.deviceIds.length === 0 ? {} : { devices: [...settings.deviceIds] }),
    capacity: jobsPerSecond(capacity, { cost, engines: settings.engines, cores }),
  }
}

/** Sums over engines; null where none of them generates. */
function generationOf(engines: Pool['engines'], generated: PoolFigures['generated']): GenerationFigures | null {
  const there = engines.flatMap((engine) => engine.generation ?? [])
  if (there.length === 0) return null
  const now = { running: 0, waiting: 0, reservedBytes: 0, heldBytes: 0, limitBytes: 0 }
  for (const one of there) for (const key of generationStates) now[key] += one[key]
  return { ...generated, ...now }
}

/** CPU time in seconds of all processes that the engines have had. */
export function engineCpuSeconds(engines: Pool['engines']): number {
  return engines.reduce((sum, { cpuSeconds, cpuSecondsBefore }) => sum + cpuSecondsBefore + (cpuSeconds ?? 0), 0)
}

/** Of engines on the same machine, which differ by noise alone. */
function meanCost(costs: readonly BatchCost[]): BatchCost | null {
  if (costs.length === 0) return null
  const mean = (key: keyof BatchCost): number => costs.reduce((sum, cost) => sum + cost[key], 0) / costs.length
  const [fixedMs, perItemMs, p99OverMs] = [mean('fixedMs'), mean('perItemMs'), mean('p99OverMs')]
  return { fixedMs, perItemMs, p99OverMs, batchSize: Math.round(mean('batchSize')) }
}
