import { isFinal, type Job } from '@vision-queue/protocol'
import { expect, test } from 'vitest'

import type { IdempotencyClaim } from '../producer/idempotency-keys.ts'
import { owner, type Suite } from './suite.ts'

/** Idempotency keys. */
export function describeClaims({ queue, mine }: Suite): void {
  const request = { owner, key: 'k', digest: 'd', leaseMs: 5000 }
  const claim = async (changes: Partial<typeof request> = {}): Promise<IdempotencyClaim | Job> => {
    const claimed = await queue().client.claim({ ...request, ...changes })
    return claimed.kind === 'known' ? claimed.job : claimed.claim
  }
  const submitOnce = async (changes: Partial<typeof request> = {}): Promise<string> => {
    const held = await claim(changes)
    if ('status' in held) return held.id
    const { job, blobs } = queue().newJob()
    const named = { ...job, id: held.id, owner: changes.owner ?? owner }
    return (await queue().client.submit(named, blobs, { claim: held })).job.id
  }

  test('stands for one job, for its owner, also at the same time', async () => {
    const ids = await Promise.all(Array.from({ length: 4 }, async () => submitOnce()))
    expect(new Set(ids).size).toBe(1)
    expect(await submitOnce({ owner: 'somebody else' })).not.toBe(ids[0])
    const job = await mine().cancel(ids[0] ?? '')
    expect(job !== null && isFinal(job.status)).toBe(true)
    expect(await claim()).toMatchObject({ id: ids[0], status: 'canceled' })
  })

  test('is refused for another request, and free again after a refusal', async () => {
    await submitOnce()
    await expect(claim({ digest: 'other' })).rejects.toMatchObject({ code: 'idempotency_conflict' })
    const held = await claim({ key: 'refused' })
    if ('status' in held) throw new Error('known before it was used')
    await held.release(new Error('the submission was refused'))
    expect(await claim({ key: 'refused', digest: 'other' })).toHaveProperty('keyHash')
  })
}
