import type { Uploads } from '@vision-queue/blobs'
import type { BlobPart } from '@vision-queue/queue'

import type { FetchImage } from './fetch-image.ts'
import { inspectImage } from './image.ts'
import { imageNotFound } from './not-found.ts'
import type { Caller, SubmittedImage } from './submission.ts'

/** An image of a job that is about to be submitted. */
export interface JobImage {
  blob: BlobPart
  /** Handed in with the job; null where they are stored already. */
  bytes: Uint8Array | null
}

/**
 * Inspects the images that came with a submission, fetching those that came as addresses one after the other, and holds
 * the owner's uploads until the job is submitted, which holds them itself. Rejects as `inspectImage` and `FetchImage`
 * and with `image_not_found`. The fetching ends when the client goes.
 */
export type TakeImages = (submitted: readonly SubmittedImage[], jobId: string, caller: Caller) => Promise<JobImage[]>

interface Options {
  uploads: Uploads
  /** Null where addresses aren't taken; then none is submitted. */
  fetchImage: FetchImage | null
  maxImageBytes: number
  maxImagePixels: number
}

/** How long an upload is held for a submission. Its job then holds it for as long as it may be unfinished. */
const holdMs = 60_000

export function createJobImages({ uploads, fetchImage, ...limits }: Options): TakeImages {
  const inspected = (received: Uint8Array): JobImage => {
    const { hash, bytes, type } = inspectImage(received, limits)
    return { blob: { kind: 'blob', name: 'image', hash, bytes, type }, bytes: received }
  }
  const takeOne = async (submitted: SubmittedImage, jobId: string, caller: Caller): Promise<JobImage> => {
    switch (submitted.kind) {
      case 'bytes':
        return inspected(submitted.bytes)
      case 'upload': {
        const upload = await uploads.of(caller.owner).hold(submitted.hash, jobId, holdMs)
        if (upload === null) throw imageNotFound()
        const { hash, bytes, type } = upload
        return { blob: { kind: 'blob', name: 'image', hash, bytes, type }, bytes: null }
      }
      case 'kept':
        return { blob: submitted.blob, bytes: null }
      case 'address': {
        if (fetchImage === null) throw new Error('an address got past the parser')
        const gone = caller.watch()
        try {
          return inspected(await fetchImage(submitted, gone.signal))
        } finally {
          gone.release()
        }
      }
      default:
        return submitted satisfies never
    }
  }
  return async (submitted, jobId, caller) => {
    const taken = new Map<SubmittedImage, JobImage>()
    // Uploads last: what is refused for another image holds none.
    const uploadsLast = submitted.toSorted((a, b) => Number(a.kind === 'upload') - Number(b.kind === 'upload'))
    for (const image of uploadsLast) taken.set(image, await takeOne(image, jobId, caller))
    return submitted.flatMap((image) => taken.get(image) ?? [])
  }
}
