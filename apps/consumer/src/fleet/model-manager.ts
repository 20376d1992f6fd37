import type { AnnouncedModel, QueuedJob } from '@vision-queue/queue'
import { type FinalJob, type ModelAliases, noModelStats } from '@vision-queue/protocol'
import type { EnginePool } from '@vision-queue/engine-pool'
import type { ModelLocation } from '@vision-queue/models'
import type { JobSource, ModelOrders } from '@vision-queue/queue/worker'
import type { Logger } from 'pino'

import type { DecideVariant } from './fleet-variant.ts'
import type { ModelPolicy } from './model-policy.ts'
import type { ChosenPool } from '../jobs/process-job.ts'
import { createRepositoryWatch, type WatchedModel } from './repository-watch.ts'
import { readRepository, type RepositoryView } from './repository.ts'
import { createServedModel, type ServedModel } from './served-model.ts'
import type { PoolWish } from './version-slot.ts'

/**
 * Keeps what a consumer serves in step with its repository, its settings and the standing orders: looks
 * at them every `pollMs`, and brings each model to what they say. Nothing that lies in the repository
 * makes it fail: a folder that can't be loaded is a failed version, and is tried again when it changes.
 */
export interface ModelManager {
  describe(): { models: AnnouncedModel[]; aliases: Record<string, ModelAliases>; engines: number }
  engineCpuSeconds(): number
  /**
   * Takes no more jobs, lets running batches finish until `deadlineMs`, hands the rest back, and stops
   * the engines. Hangs while Redis is away: then `abandon`.
   */
  close(deadlineMs: number): Promise<void>
  /** Lets go of the queues and kills the engines at once. */
  abandon(): Promise<void>
}

export interface ModelManagerOptions {
  repository: string
  policy: ModelPolicy
  pollMs: number
  readOrders: () => Promise<ModelOrders>
  /** `sharedBy`: how many models share this machine, this one included. */
  openPool: (location: ModelLocation, wish: Omit<PoolWish, 'folder'>, sharedBy: number) => EnginePool
  decideVariant: DecideVariant
  openSource: (model: string, pinnedTo: string | null, handle: JobHandling) => JobSource
  /** Takes a version that left the repository out of what is known; false while jobs wait for it. */
  forget: (name: string, version: string) => Promise<boolean>
  countPinned: (name: string, version: string) => Promise<number>
  /** See ServedModelOptions. */
  drainMs: number
  lingerMs: number
  /** Told when there is something new to announce. */
  onChange: () => void
  log: Logger
}

/** What a queue's processor needs of its model. */
export interface JobHandling {
  choosePool: (job: QueuedJob) => ChosenPool | null
  onFinished: (final: FinalJob) => void
}

// oxlint-disable-next-line max-lines-per-function -- until the redesign of this room lands
export function startModelManager(options: ModelManagerOptions): ModelManager {
  const { repository, policy, pollMs, log } = options
  const models = new Map<string, ServedModel>()
  const finished = new Map<string, Record<string, number>>()
  const reused = new Map<string, number>()
  const gone = new Map<string, { name: string; version: string }>()
  const watch = createRepositoryWatch()
  let seen = new Map<string, WatchedModel>()
  let problems = new Set<string>()
  /** Until their CPU time is in the sum. */
  const opened = new Set<EnginePool>()
  let cpuSecondsOfClosed = 0
  let closed = false
  let timer: NodeJS.Timeout | undefined

  const countsOf = (name: string, version: string): Record<string, number> => {
    const reference = `${name}@${version}`
    const counts = finished.get(reference) ?? {}
    finished.set(reference, counts)
    return counts
  }

  const open = async (name: string): Promise<ServedModel | null> => {
    const known = models.get(name)
    const selection = policy.of(name)
    if (known !== undefined || selection === null) return known ?? null
    // A consumer that selects versions one by one leaves the others to those that select them.
    const versions = selection.latest ? [...(seen.get(name)?.versions.keys() ?? [])] : []
    const waiting = await Promise.all(versions.map(async (version) => options.countPinned(name, version)))
    const handling: JobHandling = {
      choosePool: (job) => model.choose(job),
      onFinished({ version, status, cached }) {
        if (version === null) return
        const counts = countsOf(name, version)
        counts[status] = (counts[status] ?? 0) + 1
        if (cached) reused.set(`${name}@${version}`, (reused.get(`${name}@${version}`) ?? 0) + 1)
      },
    }
    const model = createServedModel({
      ...options,
      name,
      selection,
      openPool(location, wish) {
        const names = [...seen.keys()].filter((candidate) => policy.of(candidate) !== null)
        const pool = options.openPool(location, wish, Math.max(1, names.length))
        opened.add(pool)
        return pool
      },
      openSource: (pinnedTo) => options.openSource(name, pinnedTo, handling),
      countPinned: async (version) => options.countPinned(name, version),
      owed: versions.filter((_, index) => waiting[index] !== 0),
    })
    models.set(name, model)
    return model
  }

  /** Said when it begins, not at every look. */
  const report = (now: readonly string[]): void => {
    for (const problem of now) if (!problems.has(problem)) log.error({ problem }, 'Model repository')
    problems = new Set(now)
  }

  /** A look after they went: a heartbeat under way would make them known again. */
  const forgetGone = async (): Promise<void> => {
    for (const [reference, { name, version }] of gone) {
      if (await options.forget(name, version)) gone.delete(reference)
    }
  }

  const look = async (): Promise<void> => {
    await forgetGone()
    const orders = await options.readOrders()
    const view = await readRepository(repository).catch((): RepositoryView | null => null)
    if (closed) return
    if (view === null) {
      // Not an empty one: what is loaded stays.
      report(['MODEL_REPOSITORY can not be read.'])
      for (const [name, model] of models) model.reconcile(seen.get(name) ?? nothing, orders)
      return
    }
    const before = seen
    seen = watch(view)
    report([
      ...(view.size === 0 ? ['There are no models in MODEL_REPOSITORY.'] : []),
      ...policy.named.filter((name) => !view.has(name)).map((name) => `There is no model ${name} in MODEL_REPOSITORY.`),
      ...[...view].flatMap(([name, { aliasesProblem }]) =>
        aliasesProblem === null ? [] : [`${name}: ${aliasesProblem}`],
      ),
    ])
    for (const name of new Set([...seen.keys(), ...policy.named, ...models.keys()])) {
      const model = await open(name)
      if (model === null || closed) continue
      const itsVersions = seen.get(name) ?? nothing
      for (const version of before.get(name)?.versions.keys() ?? []) {
        if (!itsVersions.versions.has(version)) gone.set(`${name}@${version}`, { name, version })
      }
      for (const version of itsVersions.versions.keys()) gone.delete(`${name}@${version}`)
      model.reconcile(itsVersions, orders)
    }
    options.onChange()
  }

  const loop = async (): Promise<void> => {
    try {
      await look()
    } catch (error) {
      log.warn({ error: String(error) }, 'The model repository could not be looked at')
    }
    if (!closed) timer = setTimeout(() => void loop(), pollMs)
  }
  void loop()

  const withStats = (version: Omit<AnnouncedModel, 'stats'>): AnnouncedModel => {
    const stats = models.get(version.name)?.slot(version.version)?.stats() ?? noModelStats
    const jobs = { ...finished.get(`${version.name}@${version.version}`) }
    return { ...version, stats: { ...stats, jobs, reused: reused.get(`${version.name}@${version.version}`) ?? 0 } }
  }
  const pools = (): EnginePool[] => [...models.values()].flatMap(({ slots }) => slots.flatMap((slot) => slot.pools))
  const stop = (): void => {
    closed = true
    clearTimeout(timer)
    for (const model of models.values()) model.stop()
  }

  return {
    describe() {
      const described = [...models.values()].flatMap((model) => model.describe().map(withStats))
      const aliases = [...models].map(([name, model]) => [name, model.aliases] as const)
      const engines = pools().reduce((sum, pool) => sum + pool.engines, 0)
      return { models: described, aliases: Object.fromEntries(aliases), engines }
    },
    engineCpuSeconds() {
      const live = new Set(pools())
      for (const pool of opened) {
        if (live.has(pool)) continue
        cpuSecondsOfClosed += pool.cpuSeconds()
        opened.delete(pool)
      }
      return [...live].reduce((sum, pool) => sum + pool.cpuSeconds(), cpuSecondsOfClosed)
    },
    async close(deadlineMs) {
      stop()
      // Closing the sources first stops the fetching; closing the pools then hands back what waits in them.
      const taken = Promise.all([...models.values()].flatMap(({ sources }) => sources.map(async (one) => one.close())))
      await Promise.all(pools().map(async (pool) => pool.close({ deadlineMs })))
      await taken
    },
    async abandon() {
      stop()
      for (const model of models.values()) for (const source of model.sources) source.abandon()
      await Promise.all(pools().map(async (pool) => pool.close({ deadlineMs: 0 })))
    },
  }
}

const nothing: WatchedModel = { versions: new Map(), aliases: {} }
