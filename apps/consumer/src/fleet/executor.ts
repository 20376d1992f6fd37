import { type ModelManifest, toVisionQueueError, type VariantDecision } from '@vision-queue/protocol'
import type { EnginePool } from '@vision-queue/engine-pool'
import type { ModelLocation } from '@vision-queue/models'
import { routeAgain } from '@vision-queue/models/routes'
import type { QueuedJob } from '@vision-queue/queue'
import type { JobSource } from '@vision-queue/queue/worker'
import type { Logger } from 'pino'

import type { Action } from './action.ts'
import { type Actual, type ActualVersion, type Pool, readyPool, runningPool } from './actual.ts'
import type { Desired } from './desired.ts'
import type { DecideVariant } from './fleet-variant.ts'
import { createOpenPools, type OpenPools } from './open-pools.ts'
import { createOpenQueues, type OpenQueues } from './open-queues.ts'
import { plan } from './plan.ts'
import { type FleetEvent, recordAction, recordEvent } from './record.ts'
import { readyVersions, versionThatServes } from './selected-versions.ts'
import type { ChosenPool } from '../jobs/run-job.ts'

/** How a pool is to be opened. */
export interface PoolWish {
  /** The variant that the fleet runs; null: as the settings and the machine say. */
  variant: VariantDecision['graph'] | null
  /** To be told when the pool's trouble has changed. */
  onTrouble: () => void
}

export interface ExecutorOptions {
  /** Whether a model runs on this machine, and shares it with the others that do. Default: all do. */
  runsHere?: ((location: ModelLocation) => boolean) | undefined
  /** `sharedBy`: how many models share this machine, this one included. */
  openPool: (location: ModelLocation, wish: PoolWish, sharedBy: number) => EnginePool
  decideVariant: DecideVariant
  openSource: (model: string, pinnedTo: string | null) => JobSource
  /** Takes a version that left the repository out of what is known; false while jobs wait for it. */
  forget: (name: string, version: string) => Promise<boolean>
  /** How long a pool that was replaced may take for its last jobs; what is left then goes back to the queue. */
  drainMs: number
  /** Told when something was done, or engines were lost or are back. */
  onChange: () => void
  log: Logger
}

/**
 * Performs what `plan` says and plans again after each event. It alone has side effects, and it has no rules of its
 * own.
 */
export interface Executor {
  readonly desired: Desired
  readonly actual: Actual
  readonly pools: OpenPools
  readonly queues: OpenQueues
  /** Takes what a look has found, and asks whether the fleet still runs the variants that run here. */
  pursue(desired: Desired): void
  /** What is to run the job, as things are now; null: nothing here. */
  choosePool(model: string, job: Pick<QueuedJob, 'modelVersion' | 'versionPinned'>): ChosenPool | null
  /** One of a version's pools, for its figures. */
  poolOf(model: string, version: string, which: (version: ActualVersion) => Pool | null): EnginePool | undefined
  /** Does nothing more. Who calls this closes the queues and the pools. */
  stop(): void
}

export function createExecutor(options: ExecutorOptions): Executor {
  const actual: Actual = { models: new Map(), problems: new Set(), nextPoolId: 1 }
  let desired: Desired = { at: 0, lingerMs: 0, models: new Map(), loads: { atOnce: 0, first: [] }, problems: [] }
  const pools = createOpenPools()
  const queues = createOpenQueues(options.openSource, options.log)
  const events: FleetEvent[] = []
  let busy = false
  let stopped = false

  /** What is sent together is planned for once. */
  const send = (...happened: FleetEvent[]): void => {
    events.push(...happened)
    advance()
  }

  const advance = (): void => {
    // What happens while actions are performed waits: the actions after it were planned without it.
    if (busy || stopped) return
    busy = true
    let changed = false
    try {
      for (;;) {
        for (const event of events.splice(0)) {
          recordEvent(actual, event)
          changed ||= event.kind === 'trouble'
        }
        const actions = plan(desired, actual)
        if (actions.length === 0) break
        changed = true
        for (const action of actions) {
          perform(action, { ...options, actual, desired, pools, queues, send })
          recordAction(actual, action, { at: desired.at, now: performance.now() })
        }
      }
    } finally {
      busy = false
    }
    if (changed) options.onChange()
  }

  return {
    get desired() {
      return desired
    },
    actual,
    pools,
    queues,
    pursue(next) {
      desired = next
      advance()
      void askFleet(actual, options.decideVariant, send)
    },
    choosePool(model, job) {
      const [wanted, there] = [desired.models.get(model), actual.models.get(model)]
      if (wanted === undefined || there === undefined) return null
      const here = { versions: new Set(readyVersions(there)), serving: versionThatServes(wanted.selection, there) }
      const version = routeAgain(here, { version: job.modelVersion, pinned: job.versionPinned })
      const chosen = version === null ? undefined : there.versions.get(version)
      const data = chosen === undefined ? null : readyPool(chosen)
      const pool = data === null ? undefined : pools.get(data.id)
      if (version === null || !chosen?.manifest || data === null || pool === undefined) return null
      const drained: FleetEvent = { kind: 'drained', model, version, pool: data.id }
      const { readsImages = true } = pool
      return { manifest: chosen.manifest, readsImages, run: counted(data, pool, () => send(drained)) }
    },
    poolOf(model, version, which) {
      const there = actual.models.get(model)?.versions.get(version)
      const data = there === undefined ? null : which(there)
      return data === null ? undefined : pools.get(data.id)
    },
    stop() {
      stopped = true
    },
  }
}

/** Counts the jobs that a pool runs, and tells when a retired pool has finished its last one. */
function counted(data: Pool, pool: EnginePool, onDrained: () => void): EnginePool['run'] {
  return async (request) => {
    data.inFlight += 1
    try {
      return await pool.run(request)
    } finally {
      data.inFlight -= 1
      if (data.inFlight === 0 && data.state.phase === 'retired') onDrained()
    }
  }
}

/** Redis may have lost the fleet's decisions, and another consumer made others since. */
async function askFleet(
  actual: Actual,
  decideVariant: DecideVariant,
  send: (...happened: FleetEvent[]) => void,
): Promise<void> {
  const asked = [...actual.models].flatMap(([model, { versions }]) =>
    [...versions].flatMap(([version, there]) => {
      const [pool, { manifest }] = [runningPool(there), there]
      if (pool === null || manifest === null) return []
      return [
        decideVariant(manifest).then((fleet): FleetEvent => ({
          kind: 'decided',
          model,
          version,
          pool: pool.id,
          fleet,
        })),
      ]
    }),
  )
  send(...(await Promise.all(asked)))
}

interface Surroundings extends ExecutorOptions {
  actual: Actual
  desired: Desired
  pools: OpenPools
  queues: OpenQueues
  send: (event: FleetEvent) => void
}

/** The side effects of an action; many have none. */
function perform(action: Action, { actual, pools, queues, send, log, ...options }: Surroundings): void {
  switch (action.kind) {
    case 'report':
      log.error({ problem: action.problem }, 'Model repository')
      return
    case 'forget':
      options
        .forget(action.model, action.version)
        .then((done) => (done ? send({ ...action, kind: 'forgotten' }) : undefined))
        .catch((error: unknown) =>
          log.warn({ model: action.model, error: String(error) }, 'A version could not be forgotten'),
        )
      return
    case 'open-pool':
      openPool(action, { ...options, actual, pools, queues, send, log })
      return
    case 'take-over': {
      const { model, version, manifest } = action
      log.info({ model, version, variant: manifest.variant, choice: manifest.choice }, 'Model is warm')
      return
    }
    case 'retire-pool':
      setTimeout(() => send({ ...action, kind: 'drain-over' }), options.drainMs).unref()
      return
    case 'close-pool':
      // A pool's close does not reject.
      void pools.close(action.pool).then(() => send({ ...action, kind: 'closed' }))
      return
    case 'fail': {
      const { model, version, failure } = action
      log.error({ model, version, error: failure.sentence }, 'Model could not be loaded')
      return
    }
    case 'take-jobs':
      queues.take(action.model, action.pinnedTo)
      return
    case 'stop-taking':
      queues.stopTaking(action.model, action.pinnedTo)
      return
    case 'end-report':
    case 'add-model':
    case 'point-aliases':
    case 'see-folder':
    case 'miss-folder':
    case 'clear-failure':
    case 'date-decision':
    case 'keep-for-pinned':
    case 'end-keeping':
    case 'remove-version':
      return
    default:
      action satisfies never
  }
}

function openPool(
  { model, version, target, following }: Extract<Action, { kind: 'open-pool' }>,
  { actual, desired, pools, send, log, ...options }: Surroundings,
): void {
  const id = actual.nextPoolId
  const name = { model, version, pool: id }
  if (following !== null) log.warn({ model, version }, 'The fleet runs another variant: it is loaded')
  const { runsHere = () => true } = options
  const models = [...desired.models].filter(([one, { versions }]) =>
    [...versions].some(([other, { folder }]) => runsHere({ name: one, version: other, folder })),
  ).length
  const wish = {
    variant: following?.graph ?? null,
    onTrouble: () => send({ kind: 'trouble', ...name, trouble: pools.get(id)?.trouble ?? null }),
  }
  const settle = async (): Promise<void> => {
    let manifest: ModelManifest
    try {
      const pool = options.openPool({ name: model, version, folder: target.folder }, wish, Math.max(1, models))
      pools.add(id, pool)
      manifest = await pool.ready
    } catch (error) {
      return send({ kind: 'refused', ...name, detail: toVisionQueueError(error, 'model_unavailable').detail })
    }
    const fleet = following === null ? await options.decideVariant(manifest) : null
    send({ kind: 'loaded', ...name, manifest, fleet })
  }
  void settle()
}
