import { type BlobPart, imageNameOf } from '@vision-queue/queue'
import type { ImageStore } from '@vision-queue/queue/producer'

import type { FetchImage } from './fetch-image.ts'
import { inspectImage } from './image.ts'
import { imageNameFor, imagesOf } from './owned-images.ts'
import type { Caller, SubmittedImage } from './submission.ts'
import { imageNotFound } from './not-found.ts'

/** An image of a job that is about to be submitted. */
export interface JobImage {
  blob: BlobPart
  /** To be stored with the job; null where they are in Redis already. */
  bytes: Uint8Array | null
}

export interface JobImages {
  /**
   * Inspects the images that came with a submission, fetching those that came as addresses one after the other, or
   * holds the owner's uploads for the job: from then on they outlive the job. Rejects as `inspectImage` and
   * `FetchImage` and with `image_not_found`, and then holds nothing. Last before the submission, which else would
   * leave a hold behind when it is refused. The fetching ends when the client goes.
   */
  take(submitted: readonly SubmittedImage[], jobId: string, caller: Caller): Promise<JobImage[]>
  /** Lets go of the uploads of a job that needs them no more; never rejects, as a hold lapses by itself. */
  release(images: readonly JobImage[], jobId: string): Promise<void>
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
  const takeOne = async (submitted: SubmittedImage, jobId: string, caller: Caller): Promise<JobImage> => {
    switch (submitted.kind) {
      case 'bytes':
        return withBytes(submitted.bytes, caller.owner)
      case 'upload': {
        const upload = await imagesOf(images, caller.owner).hold(submitted.hash, jobId, holdMs)
        if (upload === null) throw imageNotFound()
        const { hash, name, bytes, type } = upload
        return { blob: { kind: 'blob', name: 'image', hash, bytes, type, old: { name, uploaded: true } }, bytes: null }
      }
      case 'kept': {
        // Under the name that the earlier job knows it by, which is its owner's already.
        const { blob } = submitted
        const held = blob.old?.uploaded !== true || (await images.hold(imageNameOf(blob), jobId, holdMs)) !== null
        if (!held) throw imageNotFound()
        return { blob, bytes: null }
      }
      case 'address': {
        if (fetchImage === null) throw new Error('an address got past the parser')
        const gone = caller.watch()
        try {
          return withBytes(await fetchImage(submitted, gone.signal), caller.owner)
        } finally {
          gone.release()
        }
      }
      default:
        return submitted satisfies never
    }
  }
  const release: JobImages['release'] = async (taken, jobId) => {
    const uploads = taken.filter(({ blob }) => blob.old?.uploaded === true)
    await Promise.allSettled(uploads.map(async ({ blob }) => images.release(imageNameOf(blob), jobId)))
  }
  return {
    async take(submitted, jobId, caller) {
      const taken: JobImage[] = []
      try {
        for (const image of submitted) taken.push(await takeOne(image, jobId, caller))
        return taken
      } catch (error) {
        await release(taken, jobId)
        throw error
      }
    },
    release,
  }
}
