import { createHash, timingSafeEqual } from 'node:crypto'

/** In a time that tells nothing of where they differ; hashed, so that not even their lengths count. */
export function sameSecret(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
