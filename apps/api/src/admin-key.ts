import { createHash, timingSafeEqual } from 'node:crypto'

import { VisionQueueError } from '@vision-queue/jobs'

/**
 * Lets through who sends `Authorization: Bearer <ADMIN_KEY>`. Throws `unauthorized` otherwise, and
 * `forbidden` where no key is set: an administrator's routes are closed, not open, by default.
 */
export function assertAdministrator(authorization: string | undefined, adminKey: string): void {
  if (adminKey === '') {
    throw new VisionQueueError('forbidden', 'Administration is not enabled: set ADMIN_KEY for the API to enable it.')
  }
  const sent = /^bearer +(.+)$/i.exec(authorization ?? '')?.[1]
  if (sent === undefined || !sameText(sent, adminKey)) {
    throw new VisionQueueError('unauthorized', 'This needs the administrator’s key, as Authorization: Bearer <key>.')
  }
}

/** In a time that tells nothing of where they differ; hashed, so that not even their lengths count. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
