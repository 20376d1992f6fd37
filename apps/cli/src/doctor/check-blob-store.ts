import { openBlobStore } from '@vision-queue/blobs'
import { parseBlobStore } from '@vision-queue/process'

import { fail, type Finding, ok } from './finding.ts'

const about = 'Blob store'

/** Whether the bucket of BLOB_STORE is there and may be listed. Nothing is written to it. */
export async function checkBlobStore(setting: string): Promise<Finding> {
  const target = parseBlobStore(setting)
  if (target.kind === 'redis') return ok(about, 'images are in Redis')
  const { objects, close } = await openBlobStore(target)
  try {
    await objects?.check()
    return ok(about, `the bucket ${target.bucket} is there`)
  } catch (error) {
    return fail(about, error instanceof Error ? error.message : String(error))
  } finally {
    close()
  }
}
