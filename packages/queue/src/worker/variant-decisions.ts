import { modelVariantsKey } from '../keys.ts'
import { type VariantDecision, variantDecisionSchema } from '@vision-queue/protocol'

import { parseJson } from '@vision-queue/redis'
import type { RedisClient } from '@vision-queue/redis'

/** The files that a decision is about: the same name and version with other files is another decision. */
export interface DecidedModel {
  name: string
  version: string
  fingerprint: string
}

/**
 * Which variant the whole fleet runs of these files: the first consumer's decision is kept, and all others get that
 * one. The kind of hardware counts through the first decision alone, so that consumers on different hardware give
 * the same answers. A record that can't be read is replaced. Rejects if Redis refuses the write.
 */
export async function agreeOnVariant(
  redis: RedisClient,
  { name, version, fingerprint }: DecidedModel,
  own: VariantDecision,
): Promise<VariantDecision> {
  const key = modelVariantsKey(name, version)
  const read = async (): Promise<VariantDecision | null> => {
    const record = variantDecisionSchema.safeParse(parseJson((await redis.hget(key, fingerprint)) ?? ''))
    return record.success ? record.data : null
  }
  // Read first: a Redis that is full refuses writes, and decisions hold there, too.
  const kept = await read()
  if (kept !== null) return kept
  const decision: VariantDecision = { graph: own.graph, reason: own.reason, at: own.at ?? Date.now() }
  if ((await redis.hsetnx(key, fingerprint, JSON.stringify(decision))) === 1) return decision
  const winner = await read()
  if (winner !== null) return winner
  await redis.hset(key, fingerprint, JSON.stringify(decision))
  return decision
}
