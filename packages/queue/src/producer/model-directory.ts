import { type ConsumerAnnouncement, consumerAnnouncementSchema } from '../announcement.ts'
import { consumerKey, consumersKey, modelAliasesKey, modelCapacitiesKey, modelPartsKey, modelsKey } from '../keys.ts'
import type { LoadProgress, ModelAction, ModelManifest, ModelStats, ModelStatus } from '@vision-queue/protocol'

import type { VersionWork } from '../job-work.ts'
import { createModelForgetting } from '../worker/forget-model.ts'
import { createFiguresClaim } from './figures-claim.ts'
import { createKnownModels, type KnownModels } from './known-models.ts'
import { giveModelOrder, readModelOrders } from '../worker/model-orders.ts'
import { parseJson } from '@vision-queue/redis'
import { nanoid } from 'nanoid'

import { guarded, openFailFastConnection, type RedisClient, type TransportLog } from '@vision-queue/redis'

/** A consumer that serves a model version now, and what it has done with it. */
export interface ServingConsumer {
  id: string
  /** What it runs: another variant or other files than another consumer, where settings or folders differ. */
  manifest: ModelManifest | null
  stats: ModelStats
  engines: number
  /** Those of them that can take jobs now. */
  enginesUp: number
  startedAt: number
  heartbeatAt: number
  process: ConsumerAnnouncement['process']
  /** The GPUs of its machine; undefined: it is of a release that didn't say. */
  gpus?: ConsumerAnnouncement['gpus']
  /** What it has measured of this version's jobs; undefined: nothing. */
  work?: VersionWork | undefined
  /** What it has counted of jobs, by model. */
  jobs?: ConsumerAnnouncement['jobs']
}

/** A model version as the directory knows it. */
export interface ServedModel {
  name: string
  version: string
  /** Null while no consumer has ever had it ready. */
  manifest: ModelManifest | null
  /** The best of what live consumers say; `no_consumers`: none has it, its jobs are accepted and wait. */
  status: ModelStatus | 'no_consumers'
  /** Why a consumer could not load it; another one may have it ready. */
  error: string | null
  /** When a consumer that lacks engines tries again to start them, in milliseconds since 1970. */
  retryAt: number | null
  /** What the engine of a consumer does that loads it; null: none does. */
  loading: LoadProgress | null
  /** Whether a consumer runs jobs that name no version on it. */
  serving: boolean
  /** Whether a live consumer has it in its repository; if not, it is only remembered. */
  reported: boolean
  /** The aliases that stand for it. */
  aliases: string[]
  /**
   * Over how many parts of the model's queue jobs may be spread: as many as all its live consumers announce. Where none
   * is, as many as were ever used, as whoever comes takes from all of these.
   */
  queueParts: number
  /** Jobs a second that a consumer got through as last announced, also while there is none; null: never known. */
  rememberedCapacity: number | null
  /** Those that have it ready. */
  consumers: ServingConsumer[]
}

/** The API's view of what consumers announced: kept in memory, renewed from Redis. */
export interface ModelDirectory {
  /** All versions known, those without consumers too; from memory where fresh enough. Rejects with `queue_unavailable`. */
  list(): Promise<ServedModel[]>
  /** Leaves an order for all consumers, those that start later too. `version` null: all versions. */
  order(order: { name: string; version: string | null; action: ModelAction }): Promise<void>
  /** Takes a version that nobody has any more out of the list; resolves to false while jobs wait for it. */
  forget(name: string, version: string): Promise<boolean>
  /** To be called once for each scrape: whether this process tells Prometheus what all API processes know. */
  claimFigures(): Promise<boolean>
  close(): Promise<void>
}

export interface ModelDirectoryOptions {
  redisUrl: string
  commandTimeoutMs: number
  /** How old the view may be. */
  refreshMs: number
  log: TransportLog
}

export function openModelDirectory(options: ModelDirectoryOptions): ModelDirectory {
  const redis = openFailFastConnection({ ...options, name: 'api-models' })
  const forgetting = createModelForgetting(redis)
  const claim = createFiguresClaim(redis, nanoid())
  let view: { models: ServedModel[]; at: number } | null = null
  const known = createKnownModels(options.log)
  let refreshing: Promise<ServedModel[]> | null = null

  // Whoever waits for a model to be ready hears of it at once, not a second later.
  const lifetimeOf = (models: readonly ServedModel[]): number =>
    models.length === 0 || models.some(isComing) ? options.refreshMs / 10 : options.refreshMs

  const refresh = async (): Promise<ServedModel[]> => {
    const models = await readModels(redis, known, options.log)
    view = { models, at: performance.now() }
    return models
  }

  return {
    async list() {
      if (view !== null && performance.now() - view.at < lifetimeOf(view.models) && redis.status === 'ready') {
        return view.models
      }
      refreshing ??= refresh().finally(() => {
        refreshing = null
      })
      return guarded(refreshing)
    },
    async order(order) {
      await guarded(giveModelOrder(redis, order))
      view = null
    },
    async forget(name, version) {
      const forgotten = await guarded(forgetting.forget(name, version))
      view = null
      return forgotten
    },
    claimFigures: async () => guarded(claim.holds()),
    async close() {
      if (redis.status === 'ready') await claim.giveUp().catch(() => {})
      await forgetting.close()
      redis.disconnect()
    },
  }
}

/** Whether it is about to be ready for the first time: not one whose engines die again and again. */
function isComing({ status, error }: ServedModel): boolean {
  return status === 'loading' && error === null
}

async function readModels(redis: RedisClient, known: KnownModels, log: TransportLog): Promise<ServedModel[]> {
  const [manifests, aliases, orders, usedParts, capacities, ids] = await Promise.all([
    redis.hgetall(modelsKey),
    redis.hgetall(modelAliasesKey),
    readModelOrders(redis),
    redis.hgetall(modelPartsKey),
    redis.hgetall(modelCapacitiesKey),
    redis.zrange(consumersKey, '0', '-1'),
  ])
  const models = new Map<string, ServedModel>()
  const versionOf = (name: string, version: string): ServedModel => {
    const reference = `${name}@${version}`
    const model = models.get(reference) ?? {
      name,
      version,
      manifest: null,
      status: orders.of(name, version).wanted === 'unloaded' ? 'unloaded' : 'no_consumers',
      error: null,
      retryAt: null,
      loading: null,
      serving: false,
      reported: false,
      aliases: known.aliasesOf(name, version, aliases[name]),
      queueParts: 1,
      rememberedCapacity: capacityIn(capacities[reference]),
      consumers: [],
    }
    models.set(reference, model)
    return model
  }
  for (const [reference, text] of Object.entries(manifests)) {
    const manifest = known.manifest(reference, text)
    if (manifest !== null) versionOf(manifest.name, manifest.version).manifest = manifest
  }
  // Expired announcements read as null: their consumers are gone.
  const announcements = await Promise.all(ids.map(async (id) => redis.get(consumerKey(id))))
  const parts = new Map<string, number>()
  for (const text of announcements) {
    const announcement = text === null ? null : consumerAnnouncementSchema.safeParse(parseJson(text))
    if (announcement === null) continue
    if (!announcement.success) {
      log.warn({}, 'Unreadable announcement of a consumer ignored')
      continue
    }
    const { queueParts = 1 } = announcement.data
    for (const announced of announcement.data.models) {
      const {
        name,
        version,
        status,
        serving,
        error,
        retryAt = null,
        loading = null,
        manifest,
        stats,
        engines,
      } = announced
      parts.set(name, Math.min(queueParts, parts.get(name) ?? queueParts))
      const model = versionOf(name, version)
      if (manifest !== null) model.manifest ??= known.manifest(`${name}@${version}`, JSON.stringify(manifest))
      if (ranks[status] > ranks[model.status]) model.status = status
      model.reported = true
      if (model.error === null && error !== null) Object.assign(model, { error, retryAt })
      model.loading ??= loading
      model.serving ||= serving
      if (status === 'ready') {
        const { enginesUp = engines, work } = announced
        model.consumers.push({ ...announcement.data, manifest, stats, engines, enginesUp, work })
      }
    }
  }
  for (const model of models.values()) model.queueParts = parts.get(model.name) ?? Number(usedParts[model.name] ?? 1)
  return [...models.values()].toSorted(
    (a, b) => a.name.localeCompare(b.name) || a.version.localeCompare(b.version, 'en', { numeric: true }),
  )
}

/** Null where the text is no number that could be one. */
function capacityIn(text: string | undefined): number | null {
  const capacity = Number(text)
  return Number.isFinite(capacity) && capacity > 0 ? capacity : null
}

/** Of what consumers say of one version, what counts: one that has it is enough, hope goes before failure. */
const ranks = { no_consumers: 0, unloaded: 1, failed: 2, loading: 3, ready: 4 } as const
