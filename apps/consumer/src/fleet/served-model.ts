import type { AnnouncedModel, QueuedJob } from '@vision-queue/queue'
import type { ModelAliases } from '@vision-queue/protocol'
import type { EnginePool } from '@vision-queue/engine-pool'
import type { ModelLocation } from '@vision-queue/models'
import { routeAgain } from '@vision-queue/models/routes'
import type { JobSource, ModelOrders } from '@vision-queue/queue/worker'
import type { Logger } from 'pino'

import type { DecideVariant } from './fleet-variant.ts'
import { highestFirst, type Selection, servingVersion, wantedVersions } from './model-policy.ts'
import type { ChosenPool } from '../jobs/process-job.ts'
import type { WatchedModel } from './repository-watch.ts'
import { createVersionSlot, type LoadTarget, type PoolWish, type SlotEvent, type VersionSlot } from './version-slot.ts'

/** One model in a consumer: its versions, each with a pool of its own, and the queues that they take jobs from. */
export interface ServedModel {
  readonly name: string
  /** Loads, replaces and drops versions until what is wanted is there; comes back to it by itself as loads end. */
  reconcile(seen: WatchedModel, orders: ModelOrders): void
  /**
   * The version that is to run the job: the one it was routed to at its submission; if that is not loaded here and the
   * job is not pinned to it, the one that serves. Null: not here, not now.
   */
  choose(job: Pick<QueuedJob, 'modelVersion' | 'versionPinned'>): ChosenPool | null
  /** Without the counts of finished jobs, which are the processor's. */
  describe(): Omit<AnnouncedModel, 'stats'>[]
  /** Versions by alias. One that was pointed elsewhere follows when its new version is ready. */
  readonly aliases: ModelAliases
  slot(version: string): VersionSlot | undefined
  readonly slots: readonly VersionSlot[]
  /** Of all queues, those that are being let go too. */
  readonly sources: readonly JobSource[]
  /** Starts nothing more. Who calls this closes the sources and the pools. */
  stop(): void
}

export interface ServedModelOptions {
  name: string
  selection: Selection
  openPool: (location: ModelLocation, wish: Omit<PoolWish, 'folder'>) => EnginePool
  decideVariant: DecideVariant
  /** Opens the queue of the jobs pinned to a version, or with null the one of all others. */
  openSource: (pinnedTo: string | null) => JobSource
  drainMs: number
  /** Unfinished jobs that are pinned to the version. */
  countPinned: (version: string) => Promise<number>
  /** How long a version on its way out is still there for jobs that are pinned to it meanwhile. */
  lingerMs: number
  /** Versions that pinned jobs wait for from before: loaded until those are done, whatever is selected. */
  owed: readonly string[]
  /** Told after each change of what is ready. */
  onChange: () => void
  log: Logger
}

export function createServedModel(options: ServedModelOptions): ServedModel {
  const { name, selection, openPool, openSource, drainMs, onChange, log } = options
  const slots = new Map<string, VersionSlot>()
  /** By the version that is pinned to; null: all other jobs. */
  const taking = new Map<string | null, JobSource>()
  const lettingGo = new Set<JobSource>()
  /** Replaced versions that jobs may still be pinned to, and since when; new ones are refused. */
  const owed = new Map(options.owed.map((version) => [version, performance.now()]))
  const aliases = new Map<string, string>()
  let last: { seen: WatchedModel; orders: ModelOrders } | null = null
  let wanted = new Set<string>()
  let stopped = false

  const slotOf = (version: string): VersionSlot => {
    const known = slots.get(version)
    if (known !== undefined) return known
    const slot = createVersionSlot({
      version,
      openPool: ({ folder, ...wish }) => openPool({ name, version, folder }, wish),
      decideVariant: options.decideVariant,
      drainMs,
      onChange(event) {
        if (stopped) return
        tell(event, slot)
        if (last !== null) reconcile(last.seen, last.orders)
        onChange()
      },
    })
    slots.set(version, slot)
    return slot
  }

  const tell = (event: SlotEvent, { version, manifest, error }: VersionSlot): void => {
    const { variant, choice } = manifest ?? {}
    if (event === 'ready') log.info({ model: name, version, variant, choice }, 'Model is warm')
    else if (event === 'failed') log.error({ model: name, version, error }, 'Model could not be loaded')
    else if (event === 'following') log.warn({ model: name, version }, 'The fleet runs another variant: it is loaded')
    // Of trouble the pool has told.
  }

  const isReady = (version: string): boolean => slots.get(version)?.status === 'ready'
  const readyVersions = (): string[] => highestFirst([...slots.keys()].filter(isReady))
  /**
   * The one for jobs that name none; never one on its way out. None where it would be one that can't be served here
   * as the fleet serves it: an older version would give other answers.
   */
  const serving = (): string | null => {
    const outvoted = [...slots.values()].filter((slot) => slot.outvoted).map(({ version }) => version)
    const candidates = highestFirst([...readyVersions(), ...outvoted]).filter((version) => !owed.has(version))
    const chosen = servingVersion(selection, candidates)
    return chosen === null || !isReady(chosen) ? null : chosen
  }

  /** Takes from a queue exactly while something here can run its jobs. */
  const adjustSources = (): void => {
    const needed = new Set<string | null>([...(serving() === null ? [] : [null]), ...readyVersions()])
    for (const [pinnedTo, source] of taking) {
      if (needed.has(pinnedTo)) continue
      taking.delete(pinnedTo)
      lettingGo.add(source)
      source
        .close()
        .catch((error: unknown) => log.warn({ model: name, error: String(error) }, 'A queue could not be let go'))
        .finally(() => lettingGo.delete(source))
    }
    for (const pinnedTo of needed) if (!taking.has(pinnedTo)) taking.set(pinnedTo, openSource(pinnedTo))
  }

  const followAliases = (seen: WatchedModel): void => {
    const before = new Map(aliases)
    aliases.clear()
    for (const [alias, target] of Object.entries(seen.aliases)) {
      const old = before.get(alias)
      const waits = old !== undefined && isReady(old) && !isReady(target) && seen.versions.has(target)
      aliases.set(alias, waits ? old : target)
    }
  }

  /** Lets a replaced version go once no job is pinned to it any more. */
  const payOff = async (version: string): Promise<void> => {
    const since = owed.get(version)
    if (since === undefined || performance.now() - since < options.lingerMs) return
    if ((await options.countPinned(version)) > 0 || owed.get(version) !== since || stopped) return
    owed.delete(version)
    slots.get(version)?.drop()
    adjustSources()
    onChange()
  }

  function reconcile(seen: WatchedModel, orders: ModelOrders): void {
    if (stopped) return
    last = { seen, orders }
    const target = (version: string, { folder, signature }: { folder: string; signature: string }): LoadTarget => {
      const { at, reloadAt } = orders.of(name, version)
      return { folder, key: `${signature} ${reloadAt}`, attempt: String(at) }
    }
    const hasFailed = (version: string): boolean => {
      const [found, slot] = [seen.versions.get(version), slots.get(version)]
      if (found === undefined || slot === undefined || slot.outvoted) return false
      return slot.dying || (slot.status === 'failed' && slot.hasFailed(target(version, found)))
    }
    followAliases(seen)
    wanted = wantedVersions({
      selection,
      versions: highestFirst(seen.versions.keys()),
      aliased: new Set([...Object.values(seen.aliases), ...aliases.values()]),
      order: (version) => orders.of(name, version),
      hasFailed,
    })
    for (const version of wanted) owed.delete(version)
    for (const version of [...wanted, ...owed.keys()]) {
      const found = seen.versions.get(version)
      if (found?.settled === true) slotOf(version).want(target(version, found))
    }
    for (const version of selection.exact) {
      if (seen.versions.has(version)) continue
      const others = highestFirst(seen.versions.keys()).join(', ')
      slotOf(version).refuse(`${name} has no version ${version}; it has: ${others === '' ? 'none' : others}.`)
    }
    // Not just any other one that is ready: an alias may keep an old version loaded that must not serve meanwhile.
    const heir = servingVersion(selection, highestFirst([...wanted].filter((version) => !hasFailed(version))))
    const successor = heir !== null && isReady(heir)
    for (const [version, slot] of slots) {
      const there = seen.versions.has(version)
      if (wanted.has(version) || (!there && selection.exact.has(version) && slot.status !== 'ready')) continue
      if (!there || orders.of(name, version).wanted === 'unloaded') {
        owed.delete(version)
        slot.drop()
      } else if (slot.status === 'ready' && successor && !owed.has(version)) {
        // What is merely not wanted any more serves on until something else does, and then its pinned jobs.
        owed.set(version, performance.now())
      } else if (slot.status !== 'ready' && !owed.has(version)) {
        slot.drop()
      }
      if (!there && slot.pools.length === 0) slots.delete(version)
    }
    for (const version of owed.keys()) {
      payOff(version).catch((error: unknown) =>
        log.warn({ model: name, version, error: String(error) }, 'Pinned jobs could not be counted'),
      )
    }
    adjustSources()
  }

  return {
    name,
    reconcile,
    choose({ versionPinned, modelVersion }) {
      const versions = { has: (candidate: string) => (slots.get(candidate)?.run ?? null) !== null }
      const version = routeAgain({ versions, serving: serving() }, { version: modelVersion, pinned: versionPinned })
      const slot = version === null ? undefined : slots.get(version)
      const run = slot?.run ?? null
      const manifest = slot?.manifest ?? null
      return run === null || manifest === null ? null : { manifest, run }
    },
    describe() {
      const itServes = serving()
      const versions = new Set([...(last?.seen.versions.keys() ?? []), ...slots.keys()])
      return highestFirst(versions).map((version) => {
        const slot = slots.get(version)
        const status = owed.has(version) && slot?.error === null ? 'unloaded' : (slot?.status ?? 'unloaded')
        return {
          name,
          version,
          // One that is still being copied will be loaded.
          status: status === 'unloaded' && wanted.has(version) ? 'loading' : status,
          serving: version === itServes,
          error: slot?.error ?? null,
          manifest: slot?.manifest ?? null,
          retryAt: slot?.retryAt ?? null,
          engines: slot?.engines ?? 0,
          enginesUp: slot?.enginesUp ?? 0,
        }
      })
    },
    get aliases() {
      return Object.fromEntries(aliases)
    },
    slot: (version) => slots.get(version),
    get slots() {
      return [...slots.values()]
    },
    get sources() {
      return [...taking.values(), ...lettingGo]
    },
    stop() {
      stopped = true
    },
  }
}
