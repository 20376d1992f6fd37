import type { ModelManifest, VariantDecision } from '@vision-queue/jobs'
import { agreeOnVariant, type DecidedModel } from '@vision-queue/transport'
import type { Logger } from 'pino'

/**
 * Which variant of a loaded model the fleet runs; null where it is not the fleet's to say, because VARIANT or
 * model.json names one, and where Redis can't say it now: then the consumer's own choice holds until the next look.
 */
export type DecideVariant = (manifest: ModelManifest) => Promise<VariantDecision | null>

export function createFleetVariant({
  agree,
  log,
}: {
  agree: (model: DecidedModel, own: VariantDecision) => ReturnType<typeof agreeOnVariant>
  log: Pick<Logger, 'warn'>
}): DecideVariant {
  return async ({ name, version, fingerprint, choice }) => {
    if (choice === undefined || fingerprint === undefined) return null
    if (choice.basis === 'setting' || choice.basis === 'model_json') return null
    try {
      return await agree({ name, version, fingerprint }, choice)
    } catch (error) {
      log.warn({ model: name, version, error: String(error) }, 'Redis does not say which variant the fleet runs')
      return null
    }
  }
}
