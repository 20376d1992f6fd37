import { foreignSentence, isForeign, openBlobStore } from '@vision-queue/blobs'
import { parseBlobStore } from '@vision-queue/process'

import { fail, type Finding, ok } from './finding.ts'

const about = 'Blob store'
const log = { info() {}, warn() {}, error() {} }

/**
 * Whether the bucket of BLOB_STORE is there, may be listed, and is not another service's. Nothing is written to it.
 * `redis` null: whose it is is not looked at.
 */
export async function checkBlobStore(
  setting: string,
  redis: { redisUrl: string; timeoutMs: number } | null,
): Promise<Finding> {
  const target = parseBlobStore(setting)
  if (target.kind === 'redis') return ok(about, 'images are in Redis')
  const { objects, close } = await openBlobStore(target)
  try {
    if (objects === null) return ok(about, 'images are in Redis')
    await objects.check()
    if (redis !== null) {
      const { redisUrl, timeoutMs: commandTimeoutMs } = redis
      // Where Redis is away another finding says so.
      const foreign = await isForeign({ redisUrl, commandTimeoutMs, log }, objects).catch(() => false)
      if (foreign) return fail(about, foreignSentence(objects))
    }
    return ok(about, `the bucket ${target.bucket} is there`)
  } catch (error) {
    return fail(about, error instanceof Error ? error.message : String(error))
  } finally {
    close()
  }
}
