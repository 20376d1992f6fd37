import type { Uploads } from '@vision-queue/blobs'

import type { ApiHandler } from '../../api-env.ts'
import type { ApiSettings } from '../../config.ts'
import { imageHashFromPath, imageResponse } from './image-response.ts'
import { imageNotFound } from '../../intake/not-found.ts'
import type { BodyBudget } from '../../guard/body-budget.ts'
import { inspectImage } from '../../intake/image.ts'
import { readUpload } from './read-upload.ts'

const noStore = { 'Cache-Control': 'no-store' }

/** `POST /images`: 201 with the id under which the image can be asked about; the same image has the same id. */
export function uploadImage({
  uploads,
  bodyBudget,
  settings,
}: {
  uploads: Uploads
  bodyBudget: BodyBudget
  settings: ApiSettings
}): ApiHandler {
  const limits = {
    bodyBudget,
    maxBodyBytes: settings.MAX_BODY_BYTES,
    bodyTimeoutMs: settings.BODY_TIMEOUT_MS,
    maxImageBytes: settings.MAX_IMAGE_BYTES,
    maxImagePixels: settings.MAX_IMAGE_PIXELS,
  }
  return async (c) => {
    const bytes = await readUpload(c, limits)
    const kept = imageResponse(await uploads.of(c.get('caller').owner).keep(inspectImage(bytes, limits), bytes))
    return c.json(kept, 201, { ...noStore, Location: c.get('addressOf')(`/images/${kept.id}`) })
  }
}

/** `GET /images/{id}`: what is known of it; the bytes are not given back. */
export function getImage(uploads: Uploads): ApiHandler {
  return async (c) => {
    const image = await uploads.of(c.get('caller').owner).find(imageHashFromPath(c.req.param('id')))
    if (image === null) throw imageNotFound()
    return c.json(imageResponse(image), 200, noStore)
  }
}

/** `DELETE /images/{id}`: 204 once it can be used no more. Jobs that were submitted with it still get their bytes. */
export function removeImage(uploads: Uploads): ApiHandler {
  return async (c) => {
    const own = uploads.of(c.get('caller').owner)
    if (!(await own.remove(imageHashFromPath(c.req.param('id'))))) throw imageNotFound()
    return c.body(null, 204)
  }
}
