import { hash } from 'node:crypto'

import type { ModelManifest } from '@vision-queue/protocol'
import type { RedisClient } from '@vision-queue/redis'

import type { ConsumerAnnouncement } from '../announcement.ts'
import { consumerManifestsKey, modelAliasesKey, modelCapacitiesKey, modelsKey } from '../keys.ts'

/** What a consumer tells that stays as it is from one heartbeat to the next: told when it changes, and looked after. */
export interface StandingFacts {
  /** Resolves, once what has changed is in Redis, to what is left to be told: the announcement without its manifests. */
  tell(announcement: ConsumerAnnouncement): Promise<ConsumerAnnouncement>
  /** Has the facts live on; where Redis has lost them, as when it began anew, they are told again. */
  check(announcement: ConsumerAnnouncement): Promise<void>
  forget(id: string): Promise<void>
}

/** A part of the facts, which is written as a whole. */
interface Fact {
  key: string
  /** Tells one state from another. */
  state: string
  write(): Promise<unknown>
}

export function createStandingFacts(redis: RedisClient, lifetimeMs: number): StandingFacts {
  const textOf = createManifestTexts()
  /** The states that Redis has, by key. */
  const told = new Map<string, string>()

  const entriesFact = (key: string, entries: Map<string, string>, state = JSON.stringify([...entries])): Fact => ({
    key,
    state,
    write: async () => (entries.size === 0 ? null : redis.hset(key, entries)),
  })
  const factsOf = ({ id, models, aliases }: ConsumerAnnouncement): Fact[] => {
    const texts = models.flatMap(({ manifest }) => (manifest === null ? [] : [textOf(manifest)]))
    // Only of what is ready: a version that never was is known while its consumer lives.
    const ready = models.filter(({ status }) => status === 'ready')
    const listed = ready.flatMap(({ manifest }) => (manifest === null ? [] : [textOf(manifest)]))
    // What a consumer is good for stays known when there is none, so that somebody can tell when to start one.
    const capacities = ready.flatMap(({ name, version, stats: { capacity } }): [string, string][] =>
      capacity === null ? [] : [[`${name}@${version}`, String(capacity)]],
    )
    const key = consumerManifestsKey(id)
    return [
      {
        key,
        state: statesOf(texts),
        write: async () => redis.set(key, objectOf(texts), 'PX', lifetimeMs),
      },
      entriesFact(modelsKey, new Map(listed.map(({ reference, json }) => [reference, json])), statesOf(listed)),
      entriesFact(modelCapacitiesKey, new Map(capacities)),
      entriesFact(modelAliasesKey, new Map(Object.entries(aliases).map(([name, its]) => [name, JSON.stringify(its)]))),
    ]
  }
  const write = async (announcement: ConsumerAnnouncement): Promise<void> => {
    const changed = factsOf(announcement).filter(({ key, state }) => told.get(key) !== state)
    await Promise.all(changed.map(async (fact) => fact.write()))
    for (const { key, state } of changed) told.set(key, state)
  }

  return {
    async tell(announcement) {
      await write(announcement)
      const models = announcement.models.map((model) =>
        model.manifest === null ? model : { ...model, manifest: null, manifestHash: textOf(model.manifest).hash },
      )
      return { ...announcement, models }
    },
    async check(announcement) {
      const [isThere, listed] = await Promise.all([
        redis.pexpire(consumerManifestsKey(announcement.id), lifetimeMs),
        redis.hkeys(modelsKey),
      ])
      const known = new Set(listed)
      const isListed = announcement.models.every(
        ({ name, version, status, manifest }) =>
          status !== 'ready' || manifest === null || known.has(`${name}@${version}`),
      )
      if (isThere === 1 && isListed) return
      told.clear()
      await write(announcement)
    },
    async forget(id) {
      await redis.unlink(consumerManifestsKey(id))
    },
  }
}

interface ManifestText {
  /** name@version */
  reference: string
  json: string
  hash: string
}

function statesOf(texts: readonly ManifestText[]): string {
  return texts.map(({ reference, hash: name }) => `${reference} ${name}`).join(',')
}

function objectOf(texts: readonly ManifestText[]): string {
  return `{${texts.map(({ json, hash: name }) => `"${name}":${json}`).join(',')}}`
}

/** Manifests as JSON, each made once for as long as a consumer has the same object. */
function createManifestTexts(): (manifest: ModelManifest) => ManifestText {
  const texts = new WeakMap<ModelManifest, ManifestText>()
  return (manifest) => {
    const known = texts.get(manifest)
    if (known !== undefined) return known
    const json = JSON.stringify(manifest)
    const text = { reference: `${manifest.name}@${manifest.version}`, json, hash: hash('sha256', json, 'base64url') }
    texts.set(manifest, text)
    return text
  }
}
