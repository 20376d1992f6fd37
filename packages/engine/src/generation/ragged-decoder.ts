import type { Session } from '../onnx/session.ts'

/** A decoder whose sequences may be of any lengths. */
export interface RaggedDecoder {
  /** Width of `inputs_embeds`; null where it takes `input_ids`, or the graph leaves it open. */
  readonly width: number | null
  readonly takesEmbeds: boolean
  /** Axes of `position_ids`: 3 with M-RoPE, else 1. */
  readonly positionAxes: 1 | 3
  /** Keys and values of one token. */
  readonly bytesPerToken: number
}

/** Opens `decoder_model_merged` or `decoder_model` of these graphs; throws `model_unavailable`. Work in progress. */
export function openRaggedDecoder(sessions: ReadonlyMap<string, Session>): RaggedDecoder {
  throw new Error(`not built yet: ${sessions.size} graphs`)
}
