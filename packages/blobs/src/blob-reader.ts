import { openFailFastConnection, type RedisClient } from '@vision-queue/redis'

import type { BlobAddress } from './blobs.ts'
import { createByteTurns } from './byte-turns.ts'
import { blobBytesKey } from './keys.ts'
import { objectOf } from './objects/object-name.ts'

/** Reads the bytes of blobs, and can do nothing else: its user in Redis needs no right but GET on them. */
export interface BlobReader {
  /**
   * The bytes; null where they are gone. `bytes`: how many they are. Rejects soon where Redis is away or refuses, and
   * where they are not in Redis.
   */
  read(address: BlobAddress, bytes: number): Promise<Uint8Array | null>
  close(): void
}

/** What is read at a time: a few of the largest images, or hundreds of usual ones. */
const mostBytesAtATime = 64 * 2 ** 20

/**
 * Opens a connection of its own. What is read in one turn of the event loop is asked for in one write. `timeoutMs`: the
 * longest time to wait for the connection, and for a reply.
 */
export function openBlobReader({ redisUrl, timeoutMs }: { redisUrl: string; timeoutMs: number }): BlobReader {
  const redis = openFailFastConnection({
    redisUrl,
    name: 'engine',
    commandTimeoutMs: timeoutMs,
    fewRights: true,
    // Whoever reads is told by the rejection.
    log: { info() {}, warn() {}, error() {} },
  })
  const opened = whenOpened(redis, timeoutMs)
  const turns = createByteTurns(mostBytesAtATime)
  return {
    async read(address, bytes) {
      await opened
      const value = await turns.run(bytes, async () => redis.getBuffer(blobBytesKey(address)))
      if (value !== null && objectOf(value) !== null)
        throw new Error('the blob is an object, which this reader can not read')
      return value
    },
    close: () => redis.disconnect(),
  }
}

/** Resolves when the first try to connect has come to an end, whichever; what is asked after that is refused at once if it failed. */
async function whenOpened(redis: RedisClient, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, timeoutMs)
    for (const event of ['ready', 'error', 'close']) {
      redis.once(event, () => {
        clearTimeout(timer)
        resolve()
      })
    }
  })
}
