import { VisionQueueError } from '@vision-queue/protocol'

import type { RemoteServer } from '../src/remote-server.ts'

/** A server that never takes a job of the folder as it is. */
export function refusing(detail: string): RemoteServer {
  const error = new VisionQueueError('model_unavailable', detail)
  return {
    look: async () => Promise.reject(error),
    ask: async () => Promise.reject(error),
    close: async () => {},
  }
}
