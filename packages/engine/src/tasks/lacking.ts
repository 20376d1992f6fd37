import { VisionQueueError } from '@vision-queue/protocol'

import type { ModelFolder } from '@vision-queue/models'

/** The refusal of a folder or graph that hasn't what its task needs. */
export function lacking(
  { name, version, task }: Pick<ModelFolder, 'name' | 'version' | 'task'>,
  what: string,
): VisionQueueError {
  return new VisionQueueError('model_unavailable', `${name}/${version}: ${task} needs ${what}.`)
}
