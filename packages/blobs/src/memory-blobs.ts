import type { ImageFacts } from '@vision-queue/protocol'

import type { BlobAddress, Blobs } from './blobs.ts'
import type { Budget } from './budget.ts'

interface Held {
  bytes: Uint8Array | null
  facts: ImageFacts | null
  /** By when their holds lapse. */
  holders: Map<string, number>
}

/** Blobs in this process' memory, for tests and for a queue without Redis. */
export function createMemoryBlobs(): Blobs {
  const blobs = new Map<string, Held>()
  const keyOf = ({ space, hash }: BlobAddress): string => `${space ?? ''}:${hash}`

  /** The blob, without the holds that have lapsed; undefined where nobody holds it. */
  const look = (address: BlobAddress): Held | undefined => {
    const blob = blobs.get(keyOf(address))
    if (blob === undefined) return undefined
    for (const [holder, lapsesAt] of blob.holders) if (lapsesAt <= Date.now()) blob.holders.delete(holder)
    if (blob.holders.size > 0) return blob
    blobs.delete(keyOf(address))
    return undefined
  }

  return {
    async hold(address, holder, forMs, { facts, through } = {}) {
      const blob = look(address) ?? { bytes: null, facts: null, holders: new Map<string, number>() }
      const extend = (name: string, ms: number): number => {
        const lapsesAt = Math.max(blob.holders.get(name) ?? 0, Date.now() + ms)
        blob.holders.set(name, lapsesAt)
        return lapsesAt
      }
      if (through !== undefined && (blob.bytes === null || !blob.holders.has(through.holder))) return null
      const own = extend(holder, forMs)
      const lapsesAt = through === undefined ? own : extend(through.holder, through.forMs)
      if (facts !== undefined) blob.facts = facts
      blobs.set(keyOf(address), blob)
      return { stored: blob.bytes !== null, facts: blob.facts, lapsesAt }
    },
    async put(address, bytes) {
      const blob = look(address)
      if (blob !== undefined) blob.bytes ??= Uint8Array.from(bytes)
    },
    async find(address, holder) {
      const blob = look(address)
      const lapsesAt = blob?.holders.get(holder)
      return blob === undefined || blob.bytes === null || lapsesAt === undefined
        ? null
        : { facts: blob.facts, lapsesAt }
    },
    read: async (address) => look(address)?.bytes ?? null,
    handOver: async (address) => look(address)?.bytes ?? null,
    async release(address, holder) {
      const held = look(address)?.holders.delete(holder) ?? false
      look(address)
      return held
    },
  }
}

/** A budget in this process' memory. */
export function createMemoryBudget(): Budget {
  const entries = new Map<string, { bytes: number; lapsesAt: number }>()
  return {
    async take(id, { bytes, forMs, maxBytes }) {
      const now = Date.now()
      for (const [other, { lapsesAt }] of entries) if (lapsesAt <= now) entries.delete(other)
      const there = entries.get(id)
      const soonest = [...entries.values()].toSorted((a, b) => a.lapsesAt - b.lapsesAt)
      let over = soonest.reduce((sum, entry) => sum + entry.bytes, bytes) - maxBytes
      if (there === undefined && over > 0) {
        const last = soonest.find((entry) => (over -= entry.bytes) <= 0) ?? soonest.at(-1)
        return { taken: false, roomInMs: (last?.lapsesAt ?? now) - now }
      }
      entries.set(id, { bytes: there?.bytes ?? bytes, lapsesAt: Math.max(there?.lapsesAt ?? 0, now + forMs) })
      return { taken: true, isNew: there === undefined }
    },
    async extend(id, forMs) {
      const entry = entries.get(id)
      if (entry !== undefined) entry.lapsesAt = Math.max(entry.lapsesAt, Date.now() + forMs)
    },
    async release(id) {
      entries.delete(id)
    },
  }
}
