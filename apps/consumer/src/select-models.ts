import { parseModelReference, VisionQueueError } from '@vision-queue/jobs'
import { findModel, listModels, type ModelLocation } from '@vision-queue/model-runtime'

/**
 * The models that MODELS names (separated by commas, each `name` or `name@version`), or the highest
 * version of every model in the repository. Rejects with `model_unavailable`, listing what there is.
 */
export async function selectModels(repository: string, wanted: string): Promise<ModelLocation[]> {
  const references = wanted.split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim()]))
  const named = references.length > 0 ? references : await listModels(repository)
  if (named.length === 0) {
    throw new VisionQueueError('model_unavailable', 'There are no models in MODEL_REPOSITORY.')
  }
  return Promise.all(
    named.map(async (reference) => {
      const { name, version } = parseModelReference(reference)
      return findModel(repository, name, version)
    }),
  )
}
