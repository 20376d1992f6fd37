import { imagesOfManifest } from '@vision-queue/protocol'
import type { ServedModel } from '@vision-queue/queue/producer'

import type { ApiSettings } from '../config.ts'

/**
 * Over how many parts of its queue a model's jobs are spread: as many as all its consumers take from, but no more than
 * that each part's share of QUEUE_MAX_BYTES has room for the largest job of any of its versions. The same for all jobs
 * of the model, as the shares must add up to the bound.
 */
export function queuePartsOf(
  { name, queueParts }: Pick<ServedModel, 'name' | 'queueParts'>,
  listed: readonly Pick<ServedModel, 'name' | 'manifest'>[],
  settings: Pick<ApiSettings, 'QUEUE_MAX_BYTES' | 'MAX_IMAGE_BYTES'>,
): number {
  if (queueParts === 1) return 1
  const images = listed.map((model) =>
    model.name === name && model.manifest !== null ? imagesOfManifest(model.manifest).max : 0,
  )
  const largest = settings.MAX_IMAGE_BYTES * Math.max(1, ...images)
  return Math.max(1, Math.min(queueParts, Math.floor(settings.QUEUE_MAX_BYTES / largest)))
}
