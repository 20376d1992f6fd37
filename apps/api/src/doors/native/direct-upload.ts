import type { DirectUploads, Uploads } from '@vision-queue/blobs'
import { beginUploadSchema, type BegunUploadResponse, VisionQueueError } from '@vision-queue/protocol'
import type { Context } from 'hono'

import type { ApiEnv, ApiHandler } from '../../api-env.ts'
import type { ApiSettings } from '../../config.ts'
import { parseRequest } from '../../expectation.ts'
import type { BodyBudget } from '../../guard/body-budget.ts'
import { inspectStart, tooManyBytes } from '../../intake/image.ts'
import { imageResponse } from './image-response.ts'
import { parseJsonBody } from './plain-json.ts'
import { readBody } from './read-body.ts'

const noStore = { 'Cache-Control': 'no-store' }
const maxBodyBytes = 4096

interface Options {
  uploads: Uploads
  bodyBudget: BodyBudget
  settings: ApiSettings
}

/** `POST /uploads`: 201 with an address that takes the announced file, past this API. */
export function beginUpload({ uploads, bodyBudget, settings }: Options): ApiHandler {
  return async (c) => {
    const direct = directOf(c, uploads)
    const limits = { maxBytes: maxBodyBytes, timeoutMs: settings.BODY_TIMEOUT_MS, budget: bodyBudget }
    const { sha256, bytes } = parseRequest(beginUploadSchema, parseJsonBody(await readBody(c.env, limits)))
    if (bytes > settings.MAX_IMAGE_BYTES) throw tooManyBytes(settings.MAX_IMAGE_BYTES)
    const { id, url, headers, expiresAt } = await direct.begin({ hash: sha256, bytes })
    const complete = c.get('addressOf')(`/uploads/${id}/complete`)
    const begun: BegunUploadResponse = {
      id,
      method: 'PUT',
      url,
      headers,
      expires_at: new Date(expiresAt).toISOString(),
      urls: { complete },
    }
    return c.json(begun, 201, noStore)
  }
}

/** `POST /uploads/{id}/complete`: 201 as `POST /images`, once the file is where it was to go. */
export function completeUpload({ uploads, settings }: Pick<Options, 'uploads' | 'settings'>): ApiHandler {
  return async (c) => {
    const kept = await directOf(c, uploads).complete(c.req.param('id') ?? '', (start, image) =>
      inspectStart(start, image, { maxImagePixels: settings.MAX_IMAGE_PIXELS }),
    )
    const response = imageResponse(kept)
    return c.json(response, 201, { ...noStore, Location: c.get('addressOf')(`/images/${response.id}`) })
  }
}

function directOf(c: Context<ApiEnv>, uploads: Uploads): DirectUploads {
  const { direct } = uploads.of(c.get('caller').owner)
  if (direct !== null) return direct
  const detail = 'Uploads past the API need a BLOB_STORE that takes them. Send the image to POST /images.'
  throw new VisionQueueError('not_found', detail)
}
