import { hash } from 'node:crypto'

import type { z } from 'zod'

export type Json = z.infer<ReturnType<typeof z.json>>

/** SHA-256 (base64url) of a JSON value; the order of the keys in its objects makes no difference. */
export function jsonDigest(value: Json): string {
  // Without a Hash object, which costs more than the hashing.
  return hash('sha256', JSON.stringify(inOrder(value)), 'base64url')
}

function inOrder(value: Json): Json {
  if (Array.isArray(value)) return value.map(inOrder)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).map(([key, inner]) => [key, inOrder(inner)] as const)
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
