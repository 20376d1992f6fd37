import { VisionQueueError } from '@vision-queue/protocol'

import type { BlobSource, EngineImage } from '../engine-protocol.ts'
import { readWebImage } from './web-image.ts'

/** The engine could not read a job's images itself. Nothing is known of them; whoever has their bytes may send those. */
export class ImagesUnreadError extends Error {
  constructor(options: ErrorOptions) {
    super('the images of this job could not be read', options)
    this.name = 'ImagesUnreadError'
  }
}

/** The way from a job's images, as they are named in a message, to their bytes. */
export interface JobImages {
  /** Says where images are that come as addresses. */
  open: (source: BlobSource) => void
  /** Rejects with `payload_expired` where an image is gone, with ImagesUnreadError where that is not known. */
  read: (images: readonly EngineImage[]) => Promise<readonly Uint8Array[]>
  /** Ends the connection, if there is one. */
  close: () => Promise<void>
}

/** What reads from Redis is loaded when it is needed for the first time, so that no engine waits for it to start. */
export function createJobImages(): JobImages {
  let reader: ReturnType<typeof openReader> | null = null

  async function readOne(image: EngineImage): Promise<Uint8Array> {
    if (image instanceof Uint8Array) return image
    let read: Uint8Array | null
    try {
      if ('url' in image) read = await readWebImage(image)
      else {
        const { space, hash, bytes } = image
        if (reader === null) throw new Error('no source was named')
        const { read: readBlob } = await reader
        read = await readBlob({ space, hash }, bytes)
      }
    } catch (error) {
      throw new ImagesUnreadError({ cause: error })
    }
    if (read === null) throw new VisionQueueError('payload_expired', 'The image had expired before the job ran.')
    return read
  }

  return {
    open(source) {
      reader = openReader(source)
      // Told to each job that needs it.
      reader.catch(() => {})
    },
    read: async (images) => Promise.all(images.map(readOne)),
    async close() {
      const opened = await reader?.catch(() => null)
      opened?.close()
    },
  }
}

async function openReader(source: BlobSource) {
  const { openBlobReader } = await import('@vision-queue/blobs/reader')
  return openBlobReader(source)
}
