import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { createEnginePool, type EnginePool, type InferenceResult } from '@vision-queue/engine-pool'
import { tinyLabels, writeTinyModel } from '@vision-queue/models/test/tiny-model'
import type { VariantDecision } from '@vision-queue/protocol'
import type { AnnouncedModel } from '@vision-queue/queue'
import type { StandingOrder } from '@vision-queue/queue/worker'
import { pino } from 'pino'
import { afterEach, beforeEach } from 'vitest'

import { type JobHandling, type ModelManager, startModelManager } from '../model-manager.ts'
import { parseModelPolicy } from '../model-policy.ts'

const log = pino({ level: 'silent' })
/** A gray picture of one pixel. */
const image = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==',
  'base64',
)

/** For `expect.poll`. */
export const eventually = { timeout: 20_000, interval: 20 }

/** What a model manager of real engines and of a repository in a temporary folder has around it. */
interface Surroundings {
  repository: string
  manager: ModelManager | undefined
  orders: Record<string, StandingOrder>
  /** Those that jobs are taken from. */
  queues: Set<string>
  forgotten: string[]
  /** Versions whose engines were started, in order. */
  opened: string[]
  pinnedJobs: Record<string, number>
  handling: JobHandling | undefined
  /** What the fleet runs. */
  decided: VariantDecision | null
}

/** Of the test that runs: fresh before each, and gone after it. To be called once in a file. */
export function manageModels() {
  const around: Surroundings = fresh('')
  beforeEach(async () => {
    Object.assign(around, fresh(await mkdtemp(join(tmpdir(), 'vision-queue-models-'))))
  })
  afterEach(async () => {
    await around.manager?.close(1000)
    await rm(around.repository, { recursive: true })
  })

  function announced(): AnnouncedModel[] {
    return around.manager?.describe().models ?? []
  }

  return {
    around,
    announced,
    start(models = ''): void {
      around.manager = startManager(around, models)
    },
    /** A model whose answers name its version. */
    async write(name: string, version: string): Promise<void> {
      const id2label = Object.fromEntries(tinyLabels.map((label, index) => [String(index), `${label} of ${version}`]))
      await writeTinyModel(join(around.repository, name, version), { 'config.json': { id2label } })
    },
    async writeBad(name: string, version: string): Promise<void> {
      await writeTinyModel(join(around.repository, name, version), { 'model.json': { task: 'mind-reading' } })
    },
    /** Versions by what they are; `*` marks the one that serves. */
    states(): Record<string, string> {
      return Object.fromEntries(
        announced().map(({ name, version, status, serving }) => [
          `${name}@${version}`,
          serving ? `${status} *` : status,
        ]),
      )
    },
    /** A job that is pinned to the version or, with null, one that names none and was routed to `routed`. */
    async run(
      version: string | null,
      routed = 'one that is gone',
    ): Promise<{ version: string; result: InferenceResult } | null> {
      const chosen = around.handling?.choosePool({ modelVersion: version ?? routed, versionPinned: version !== null })
      if (chosen === null || chosen === undefined) return null
      const request = { id: 'x', images: [image], input: { question: 'large' }, parameters: {}, deadlineAt: null }
      return { version: chosen.manifest.version, result: await chosen.run(request) }
    },
  }
}

function fresh(repository: string): Surroundings {
  return {
    repository,
    manager: undefined,
    orders: {},
    queues: new Set(),
    forgotten: [],
    opened: [],
    pinnedJobs: {},
    handling: undefined,
    decided: null,
  }
}

function startManager(around: Surroundings, models: string): ModelManager {
  return startModelManager({
    repository: around.repository,
    policy: parseModelPolicy(models),
    pollMs: 50,
    readOrders: async () => ({
      of: (name, version) => around.orders[`${name}@${version}`] ?? { wanted: 'configured', at: 0, reloadAt: 0 },
    }),
    openPool({ name, version, folder }, { variant, onTrouble }): EnginePool {
      around.opened.push(`${name}@${version}`)
      const each = { engines: 1, intraOpThreads: 1, runTimeoutMs: 60_000, onTrouble }
      const execution = variant === null ? {} : { variant }
      return createEnginePool({ name, version, modelFolder: folder, ...each, execution, log })
    },
    decideVariant: async () => (around.decided === null ? null : { decision: around.decided, obstacle: null }),
    openSource(model, pinnedTo, itsHandling) {
      const queue = pinnedTo === null ? model : `${model}@${pinnedTo}`
      around.queues.add(queue)
      around.handling = itsHandling
      const leave = (): void => void around.queues.delete(queue)
      return { close: async () => leave(), abandon: leave }
    },
    forget: async (name, version) => {
      around.forgotten.push(`${name}@${version}`)
      return true
    },
    countPinned: async (name, version) => around.pinnedJobs[`${name}@${version}`] ?? 0,
    drainMs: 60_000,
    countWaiting: async () => 0,
    loads: { atOnce: 9, first: [] },
    lingerMs: 50,
    onChange() {},
    log,
  })
}
