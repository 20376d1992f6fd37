import { hashOfImageId, imageIdOf, imageIdSchema, type ImageResponse } from '@vision-queue/protocol'
import type { UploadedImage } from '@vision-queue/blobs'

import { imageNotFound } from '../../intake/not-found.ts'

/** An uploaded image as it is answered. */
export function imageResponse({ hash, bytes, type, width, height, expiresAt }: UploadedImage): ImageResponse {
  return { id: imageIdOf(hash), bytes, type, width, height, expires_at: new Date(expiresAt).toISOString() }
}

/** The hash in the id in a path. One that can't be an id of ours is answered like one that isn't known: 404. */
export function imageHashFromPath(id: string | undefined): string {
  const parsed = imageIdSchema.safeParse(id)
  if (!parsed.success) throw imageNotFound()
  return hashOfImageId(parsed.data)
}
