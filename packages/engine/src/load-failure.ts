import { VisionQueueError } from '@vision-queue/protocol'

import { isOutOfMemory } from './onnx/out-of-memory.ts'

/** What the system says where it lacks something for a while, or its disk does. */
const passingCodes = new Set(['ENOMEM', 'EMFILE', 'ENFILE', 'EAGAIN', 'EBUSY', 'EIO', 'ESTALE', 'ETIMEDOUT'])

/**
 * Whether loading the same files again may work: for want of memory, of file handles or of a provider's device.
 * Everything else is the files' fault and stays so until they change.
 */
export function isPassing(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 10; at = at.cause, depth += 1) {
    if (isOutOfMemory(at)) return true
    if (at instanceof VisionQueueError && at.retryAfterMs !== undefined) return true
    if ('code' in at && typeof at.code === 'string' && passingCodes.has(at.code)) return true
  }
  return false
}
