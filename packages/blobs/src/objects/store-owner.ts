import { randomUUID } from 'node:crypto'
import { once } from 'node:events'

import { PlainError } from '@vision-queue/process'
import { type ConnectionOptions, openFailFastConnection, type RedisClient } from '@vision-queue/redis'

import { objectServiceKey } from '../keys.ts'
import { markObject, type ObjectStore } from './object-store.ts'

/**
 * A place for objects belongs to one Redis: who looks for objects that his Redis doesn't name would remove another's.
 * So Redis has an id, and an object in the place says whose it is.
 */
type Owner = 'own' | 'nobody' | 'another'

interface Options {
  redis: RedisClient
  objects: ObjectStore
}

/** Writes nothing. A Redis without an id is nobody's: it is new, or has lost its data. */
async function readOwner({ redis, objects }: Options): Promise<Owner> {
  const [own, marked] = await Promise.all([redis.get(objectServiceKey), objects.read(markObject)])
  if (marked === null) return 'nobody'
  return own === Buffer.from(marked).toString() ? 'own' : 'another'
}

/** Puts our mark where there is none. Rejects with PlainError where another's is. */
export async function claimObjects({ redis, objects }: Options): Promise<void> {
  await redis.set(objectServiceKey, randomUUID(), 'NX')
  if ((await readOwner({ redis, objects })) === 'nobody') {
    await objects.mark((await redis.get(objectServiceKey)) ?? '')
  }
  // Of two who came at once one is the first, and both see which.
  if ((await readOwner({ redis, objects })) !== 'own') throw new PlainError(foreignSentence(objects))
}

export function foreignSentence({ place }: Pick<ObjectStore, 'place'>): string {
  return (
    `BLOB_STORE: ${place} belongs to a vision-queue with another Redis, and two would remove each other's images: ` +
    `give each a prefix of its own. If the other one is gone, or this Redis has lost its data, remove the object ${markObject} there.`
  )
}

/** The first look of a process, on a connection of its own. */
export async function onFirstLook<Result>(
  { commandTimeoutMs, ...connection }: Omit<ConnectionOptions, 'name'> & { commandTimeoutMs: number },
  objects: ObjectStore,
  look: (options: Options) => Promise<Result>,
): Promise<Result> {
  const redis = openFailFastConnection({ ...connection, commandTimeoutMs, name: 'first-look' })
  try {
    if (redis.status !== 'ready') await once(redis, 'ready', { signal: AbortSignal.timeout(commandTimeoutMs) })
    return await look({ redis, objects })
  } finally {
    redis.disconnect()
  }
}

/**
 * At the start of a process that removes objects: rejects with PlainError where they are another's. Where nobody can
 * tell yet it logs that, and the look for objects that nobody needs finds out (object-sweep.ts).
 */
export async function assertOwnObjects(
  options: Omit<ConnectionOptions, 'name'> & { commandTimeoutMs: number },
  objects: ObjectStore,
): Promise<void> {
  try {
    await onFirstLook(options, objects, claimObjects)
  } catch (error) {
    if (error instanceof PlainError) throw error
    const message = error instanceof Error ? error.message : String(error)
    options.log.warn(
      { error: message },
      'Whose the place of images is, could not be read; nothing is removed there until it is',
    )
  }
}

/** For `vq doctor`: whether the place is another's. */
export async function isForeign(
  options: Omit<ConnectionOptions, 'name'> & { commandTimeoutMs: number },
  objects: ObjectStore,
): Promise<boolean> {
  return (await onFirstLook(options, objects, readOwner)) === 'another'
}
