import type { GenerationFiles } from '@vision-queue/models'

import type { LogitsRules } from './logits-rules.ts'

/** What of the rules is the model's own and no caller's: where a text ends, and which ids its files force or forbid. */
type ModelRules = Pick<
  LogitsRules,
  'maxLength' | 'beginLength' | 'endIds' | 'forcedFirstId' | 'forcedLastIds' | 'suppressedIds' | 'suppressedFirstIds'
>

/** Of `newTokens` at most after a beginning of `beginLength`, within the positions that the decoder knows. */
export function modelRules(
  { config, maxPositions }: GenerationFiles,
  { beginLength, newTokens }: { beginLength: number; newTokens: number },
): ModelRules {
  return {
    // The last token is never fed back, so it needs no position.
    maxLength: Math.min(beginLength + newTokens, maxPositions + 1),
    beginLength,
    endIds: config.eos_token_id ?? [],
    forcedFirstId: config.forced_bos_token_id ?? null,
    forcedLastIds: config.forced_eos_token_id ?? [],
    suppressedIds: config.suppress_tokens ?? [],
    suppressedFirstIds: config.begin_suppress_tokens ?? [],
  }
}
