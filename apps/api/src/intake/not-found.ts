import { VisionQueueError } from '@vision-queue/protocol'

/** What is said of an id that is no upload's of the caller. */
export function imageNotFound(): VisionQueueError {
  return new VisionQueueError(
    'image_not_found',
    'No uploaded image with this id is known, or it has expired. Upload it again with POST /images: its id stays the same.',
  )
}

/** What is said of an id that is no job's of the caller. */
export function jobNotFound(): VisionQueueError {
  return new VisionQueueError('job_not_found', 'No job with this id is known; results are forgotten when they expire.')
}
