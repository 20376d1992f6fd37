import type { HttpBindings } from '@hono/node-server'
import { type BlobPart, blobsOf, imageNameOf, type QueuedJob } from '@vision-queue/queue'
import { VisionQueueError } from '@vision-queue/protocol'
import type { ImageStore } from '@vision-queue/queue/producer'

import { imageNotFound } from '../doors/native/image-response.ts'
import { imageNameFor, imagesOf } from '../doors/native/owned-images.ts'
import { openWaitSignal } from '../delivery/wait-signal.ts'
import { inspectImage } from './image.ts'
import type { FetchImage } from './fetch-image.ts'
import type { SubmittedImage } from '../doors/native/parsed-submission.ts'

/** The image of a job that is about to be submitted. */
export interface JobImage {
  blob: BlobPart
  /** To be stored with the job; null where they are in Redis already. */
  bytes: Uint8Array | null
}

export interface JobImages {
  /**
   * Inspects the image that came with a submission, fetching it where it came as an address, or holds the owner's
   * upload for the job: from then on it outlives the job. Rejects as `inspectImage` and `FetchImage` and with
   * `image_not_found`. Last before the submission, which else would leave a hold behind when it is refused. The
   * fetching ends when the client goes.
   */
  take(submitted: SubmittedImage, job: Pick<QueuedJob, 'id' | 'owner'>, client: HttpBindings): Promise<JobImage>
  /**
   * Holds the upload of an earlier job for another try of it, under the name that the earlier one knows it by, which
   * is its owner's already. Rejects with `image_not_found`. Last before the submission, as `take`.
   */
  takeAgain(job: Pick<QueuedJob, 'id' | 'parts'>): Promise<void>
  isUploaded(job: Pick<QueuedJob, 'parts'>): boolean
  /** Lets go of the upload of a job that needs it no more; never rejects, as a hold lapses by itself. */
  giveBack(job: Pick<QueuedJob, 'id' | 'parts'>): Promise<void>
  /** `giveBack` for a job whose submission rejected with `error`; a job that may be in the queue keeps its image. */
  giveBackRefused(job: Pick<QueuedJob, 'id' | 'parts'>, error: unknown): Promise<void>
}

interface Options {
  images: ImageStore
  /** Null where addresses aren't taken; then none is submitted. */
  fetchImage: FetchImage | null
  maxImageBytes: number
  maxImagePixels: number
  /** Whether owners share what is stored. They then can tell what another one has sent. Default: false. */
  shared?: boolean | undefined
}

/** How long an upload is held for a submission. Once admitted, its job holds it for as long as it may be unfinished. */
const holdMs = 60_000

export function createJobImages({ images, fetchImage, shared = false, ...limits }: Options): JobImages {
  const withBytes = (received: Uint8Array, owner: string | null): JobImage => {
    const { hash, bytes, type } = inspectImage(received, limits)
    // An image that is there already is not sent again, which shows in the time that a submission takes.
    const name = imageNameFor(shared ? null : owner, hash)
    return { blob: { kind: 'blob', name: 'image', hash, bytes, type, old: { name, uploaded: false } }, bytes: received }
  }
  const held = async (uploaded: string, { id, owner }: Pick<QueuedJob, 'id' | 'owner'>): Promise<JobImage> => {
    const upload = await imagesOf(images, owner).hold(uploaded, id, holdMs)
    if (upload === null) throw imageNotFound()
    const { hash, name, bytes, type } = upload
    return { blob: { kind: 'blob', name: 'image', hash, bytes, type, old: { name, uploaded: true } }, bytes: null }
  }
  const uploadsOf = (job: Pick<QueuedJob, 'parts'>): BlobPart[] =>
    blobsOf(job).filter(({ old }) => old?.uploaded === true)
  const giveBack = async (job: Pick<QueuedJob, 'id' | 'parts'>): Promise<void> => {
    for (const blob of uploadsOf(job)) await images.release(imageNameOf(blob), job.id).catch(() => {})
  }
  return {
    async take(submitted, job, client) {
      switch (submitted.kind) {
        case 'bytes':
          return withBytes(submitted.bytes, job.owner)
        case 'upload':
          return held(submitted.hash, job)
        case 'address': {
          if (fetchImage === null) throw new Error('an address got past the parser')
          const wait = openWaitSignal(client)
          try {
            return withBytes(await fetchImage(submitted, wait.signal), job.owner)
          } finally {
            wait.release()
          }
        }
        default:
          return submitted satisfies never
      }
    },
    isUploaded: (job) => uploadsOf(job).length > 0,
    async takeAgain(job) {
      for (const blob of uploadsOf(job)) {
        if ((await images.hold(imageNameOf(blob), job.id, holdMs)) === null) throw imageNotFound()
      }
    },
    giveBack,
    async giveBackRefused(job, error) {
      const refused = error instanceof VisionQueueError && error.code !== 'queue_unavailable'
      if (refused) await giveBack(job)
    },
  }
}
