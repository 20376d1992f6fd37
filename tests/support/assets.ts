import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Photos and broken images for tests, which are no part of the project; null where they are not there. */
export function findAssets(): string | null {
  const folder = process.env['VISION_QUEUE_ASSETS'] ?? fileURLToPath(new URL('../../../shared/assets', import.meta.url))
  return existsSync(folder) ? folder : null
}
