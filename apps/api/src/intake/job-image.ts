import type { HttpBindings } from '@hono/node-server'
import type { Uploads } from '@vision-queue/blobs'
import type { BlobPart, QueuedJob } from '@vision-queue/queue'

import { imageNotFound } from '../doors/native/image-response.ts'
import { openWaitSignal } from '../delivery/wait-signal.ts'
import { inspectImage } from './image.ts'
import type { FetchImage } from './fetch-image.ts'
import type { SubmittedImage } from '../doors/native/parsed-submission.ts'

/** The image of a job that is about to be submitted. */
export interface JobImage {
  blob: BlobPart
  /** Handed in with the job; null where they are stored already. */
  bytes: Uint8Array | null
}

export interface JobImages {
  /**
   * Inspects the image that came with a submission, fetching it where it came as an address, or holds the owner's
   * upload for a submission. Rejects as `inspectImage` and `FetchImage` and with `image_not_found`. The fetching ends
   * when the client goes.
   */
  take(submitted: SubmittedImage, job: Pick<QueuedJob, 'id' | 'owner'>, client: HttpBindings): Promise<JobImage>
}

interface Options {
  uploads: Uploads
  /** Null where addresses aren't taken; then none is submitted. */
  fetchImage: FetchImage | null
  maxImageBytes: number
  maxImagePixels: number
}

/** How long an upload is held for a submission. Its job then holds it for as long as it may be unfinished. */
const holdMs = 60_000

export function createJobImages({ uploads, fetchImage, ...limits }: Options): JobImages {
  const withBytes = (received: Uint8Array): JobImage => {
    const { hash, bytes, type } = inspectImage(received, limits)
    return { blob: { kind: 'blob', name: 'image', hash, bytes, type }, bytes: received }
  }
  const held = async (uploaded: string, { id, owner }: Pick<QueuedJob, 'id' | 'owner'>): Promise<JobImage> => {
    const upload = await uploads.of(owner).hold(uploaded, id, holdMs)
    if (upload === null) throw imageNotFound()
    const { hash, bytes, type } = upload
    return { blob: { kind: 'blob', name: 'image', hash, bytes, type }, bytes: null }
  }
  return {
    async take(submitted, job, client) {
      switch (submitted.kind) {
        case 'bytes':
          return withBytes(submitted.bytes)
        case 'upload':
          return held(submitted.hash, job)
        case 'address': {
          if (fetchImage === null) throw new Error('an address got past the parser')
          const wait = openWaitSignal(client)
          try {
            return withBytes(await fetchImage(submitted, wait.signal))
          } finally {
            wait.release()
          }
        }
        default:
          return submitted satisfies never
      }
    },
  }
}
