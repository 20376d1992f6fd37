import type { ModelManifest, VariantDecision } from '@vision-queue/protocol'
import { agreeOnVariant, type DecidedModel } from '@vision-queue/queue/worker'
import type { Logger } from 'pino'

/** What the fleet has decided, and why this consumer must not run it, if so. */
export interface FleetVariant {
  decision: VariantDecision
  obstacle: string | null
}

/**
 * Which variant of a loaded model the fleet runs; null where it is not the fleet's to say, because VARIANT or
 * model.json names one, and where Redis can't say it now: then the consumer's own choice holds until the next look.
 */
export type DecideVariant = (manifest: ModelManifest) => Promise<FleetVariant | null>

export function createFleetVariant({
  agree,
  int8Saturates,
  log,
}: {
  agree: (model: DecidedModel, own: VariantDecision) => ReturnType<typeof agreeOnVariant>
  int8Saturates: boolean
  log: Pick<Logger, 'warn'>
}): DecideVariant {
  return async ({ name, version, fingerprint, choice, provider }) => {
    if (choice === undefined || fingerprint === undefined) return null
    if (choice.basis === 'setting' || choice.basis === 'model_json') return null
    try {
      const decision = await agree({ name, version, fingerprint }, choice)
      const differs = int8Saturates && provider === 'cpu' && decision.graph === 'int8' && choice.graph !== 'int8'
      return { decision, obstacle: differs ? saturation : null }
    } catch (error) {
      log.warn({ model: name, version, error: String(error) }, 'Redis does not say which variant the fleet runs')
      return null
    }
  }
}

const saturation =
  'its CPU has no instructions for int8 (such as avx512_vnni or avx_vnni), and without them int8 gives other answers. ' +
  'With "variant": "fp32" in model.json, or VARIANT=fp32 on all consumers, it can take part.'

/** The manifest of a model that runs what the fleet has decided; null: the fleet has not. */
export function decidedBy(manifest: ModelManifest, decision: VariantDecision | null): ModelManifest {
  return decision === null ? manifest : { ...manifest, choice: { ...decision, basis: 'fleet' } }
}

/** What goes before the reason why a consumer can't run what the fleet runs; empty where it follows nobody. */
export function cantFollow(decision: VariantDecision | null): string {
  if (decision === null) return ''
  const since = decision.at === null ? '' : ` since ${new Date(decision.at).toISOString()}`
  return `The fleet runs the ${decision.graph} variant of these files${since} (${decision.reason}), which this consumer can't: `
}
