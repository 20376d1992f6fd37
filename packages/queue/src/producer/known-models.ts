import { modelAliasesSchema, type ModelManifest, modelManifestSchema } from '@vision-queue/protocol'

import { parseJson } from '@vision-queue/redis'
import type { TransportLog } from '@vision-queue/redis'

/** Reads what is kept of models in Redis; what can't be read is left out, and said once. */
export interface KnownModels {
  /** The same object until the text changes, so that callers can keep what they make of it. */
  manifest(reference: string, text: string): ModelManifest | null
  /** The aliases that stand for the version; `text` is the model's aliases. */
  aliasesOf(name: string, version: string, text: string | undefined): string[]
}

export function createKnownModels(log: TransportLog): KnownModels {
  const manifests = new Map<string, { text: string; manifest: ModelManifest | null }>()
  const badAliases = new Map<string, string>()
  return {
    manifest(reference, text) {
      const last = manifests.get(reference)
      if (last?.text === text) return last.manifest
      const parsed = modelManifestSchema.safeParse(parseJson(text))
      if (!parsed.success) log.warn({ model: reference }, 'Unreadable manifest of a model ignored')
      const manifest = parsed.success ? parsed.data : null
      manifests.set(reference, { text, manifest })
      return manifest
    },
    aliasesOf(name, version, text) {
      if (text === undefined) return []
      const parsed = modelAliasesSchema.safeParse(parseJson(text))
      if (parsed.success) {
        return Object.entries(parsed.data).flatMap(([alias, target]) => (target === version ? [alias] : []))
      }
      if (badAliases.get(name) !== text) log.warn({ model: name }, 'Unreadable aliases of a model ignored')
      badAliases.set(name, text)
      return []
    },
  }
}
