import type { RowBlock } from './row-block.ts'

/** What a sequence begins with, as a decoder is fed it. */
export interface GenerationPrompt {
  /** Ids of the whole prompt, image placeholders included: what penalties and counts look at. */
  ids: readonly number[]
  /** ``float32 [ids.length, width]``; null where the decoder takes `input_ids`. */
  embeds: Float32Array | null
  /** By axis the position of each id: one axis, or three (M-RoPE, a decoder with `position_ids` ``[3, B, S]``). */
  positions: readonly Int32Array[]
  /** Of the first generated token, on every axis. */
  nextPosition: number
  /** Encoder-decoder families (Florence-2): `encoder_hidden_states` ``[1, length, width]``, in one row; null else. */
  cross: RowBlock | null
}
