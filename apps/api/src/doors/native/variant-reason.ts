import type { ModelManifest } from '@vision-queue/protocol'

/** Why a variant runs, in a few words; null where its consumer is of a release that didn't say. */
export function variantReason(manifest: ModelManifest | null): string | null {
  if (manifest?.choice === undefined) return null
  const { basis, reason, at } = manifest.choice
  switch (basis) {
    case 'setting':
    case 'model_json':
      return reason
    case 'capability':
      return `by capability: ${reason}`
    case 'fleet':
      return `recorded by the fleet${at === null ? '' : ` at ${new Date(at).toISOString()}`}, by capability: ${reason}`
    default:
      return basis satisfies never
  }
}
