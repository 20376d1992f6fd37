import {
  type ConsumerAnnouncement,
  consumerAnnouncementSchema,
  consumerKey,
  consumersKey,
  type ModelManifest,
  modelManifestSchema,
  modelsKey,
  type ModelStats,
} from '@vision-queue/jobs'
import type { Redis } from 'ioredis'

import { parseJson } from './parse-json.ts'
import { guarded, openFailFastConnection, type TransportLog } from './redis-connection.ts'

/** A consumer that serves a model version now, and what it has done with it. */
export interface ServingConsumer {
  id: string
  stats: ModelStats
  engines: number
  startedAt: number
  heartbeatAt: number
  process: ConsumerAnnouncement['process']
}

/** A model version as the directory knows it; without consumers, its jobs are accepted and wait. */
export interface ServedModel {
  manifest: ModelManifest
  consumers: ServingConsumer[]
}

/** The API's view of what consumers announced: kept in memory, renewed from Redis. */
export interface ModelDirectory {
  /** All models ever announced, those without consumers too; from memory where fresh enough. Rejects with `queue_unavailable`. */
  list(): Promise<ServedModel[]>
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
  let view: { models: ServedModel[]; at: number } | null = null
  // A manifest stays the same object until it changes, so that callers can keep what they make of it.
  const manifests = createManifestReader(options.log)
  let refreshing: Promise<ServedModel[]> | null = null

  const refresh = async (): Promise<ServedModel[]> => {
    const models = await readModels(redis, manifests, options.log)
    view = { models, at: performance.now() }
    return models
  }

  return {
    async list() {
      if (view !== null && performance.now() - view.at < options.refreshMs && redis.status === 'ready') {
        return view.models
      }
      refreshing ??= refresh().finally(() => {
        refreshing = null
      })
      return guarded(refreshing)
    },
    async close() {
      redis.disconnect()
    },
  }
}

function createManifestReader(log: TransportLog): (name: string, text: string) => ModelManifest | null {
  const known = new Map<string, { text: string; manifest: ModelManifest | null }>()
  return (name, text) => {
    const last = known.get(name)
    if (last?.text === text) return last.manifest
    const parsed = modelManifestSchema.safeParse(parseJson(text))
    if (!parsed.success) log.warn({ model: name }, 'Unreadable manifest of a model ignored')
    const manifest = parsed.success ? parsed.data : null
    known.set(name, { text, manifest })
    return manifest
  }
}

async function readModels(
  redis: Redis,
  readManifest: (name: string, text: string) => ModelManifest | null,
  log: TransportLog,
): Promise<ServedModel[]> {
  const [texts, ids] = await Promise.all([redis.hgetall(modelsKey), redis.zrange(consumersKey, '0', '-1')])
  const models = new Map<string, ServedModel>()
  for (const [name, text] of Object.entries(texts)) {
    const manifest = readManifest(name, text)
    if (manifest !== null) models.set(name, { manifest, consumers: [] })
  }
  // Expired announcements read as null: their consumers are gone.
  const announcements = await Promise.all(ids.map(async (id) => redis.get(consumerKey(id))))
  for (const text of announcements) {
    const announcement = text === null ? null : consumerAnnouncementSchema.safeParse(parseJson(text))
    if (announcement === null) continue
    if (!announcement.success) {
      log.warn({}, 'Unreadable announcement of a consumer ignored')
      continue
    }
    for (const { manifest, stats } of announcement.data.models) {
      const served = models.get(`${manifest.name}@${manifest.version}`)
      served?.consumers.push({ ...announcement.data, stats })
    }
  }
  return [...models.values()].toSorted(
    ({ manifest: a }, { manifest: b }) =>
      a.name.localeCompare(b.name) || a.version.localeCompare(b.version, 'en', { numeric: true }),
  )
}
