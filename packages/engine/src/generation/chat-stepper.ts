import type { TaskOutput } from '../task-output.ts'
import type { Stepper } from '../tasks/stepper.ts'
import type { GenerationPrompt } from './generation-prompt.ts'
import type { LogitsRules } from './logits-rules.ts'
import type { RaggedDecoder } from './ragged-decoder.ts'
import type { SamplingOptions } from './sampling.ts'
import type { TokenConstraint } from './token-constraint.ts'
import type { TokenLogprob } from './token-logprobs.ts'

/** How an answer ended. */
export interface GenerationEnd {
  /** Cut before a stop string. */
  text: string
  /** All generated ids, an end token included. */
  ids: readonly number[]
  finishReason: 'stop' | 'length'
  /** One for each of `ids`; null where none were asked for. */
  logprobs: TokenLogprob[] | null
}

/** A job of a chat: pieces of images that are encoded between steps, then a prompt, then an answer token by token. */
export interface ChatItem<Piece> {
  maxRows: 1
  /** The most tokens that its keys and values will be of: prompt and new ones. */
  maxTokens: number
  /** The same of its `encoder_hidden_states`; 0 where the decoder takes none. */
  maxCrossTokens: number
  /** What of its images is still to encode; empty where nothing is. Items may share piece objects. */
  pieces: readonly Piece[]
  /** Called when all its pieces are encoded and its turn has come. A rejection fails this item alone. */
  toPrompt: () => Promise<GenerationPrompt>
  /** `beginLength` is the prompt's length. */
  rules: LogitsRules
  sampling: SamplingOptions
  /** With one, `noRepeatNgramSize` and `minLength` of the rules are not looked at: they could rule out what has to come. */
  constraint: TokenConstraint | null
  /** Generation ends where one of these comes up in the text. */
  stop: readonly string[]
  /** Whether anybody wants the text before it is whole. */
  stream: boolean
  toText: (generated: readonly number[]) => string
  toOutput: (end: GenerationEnd) => TaskOutput
}

export interface ChatStepperOptions<Piece> {
  decoder: RaggedDecoder
  /** Embeddings of generated ids, ``float32 [ids.length, width]``; null where the decoder takes `input_ids`. */
  embed: ((ids: readonly number[]) => Promise<Float32Array>) | null
  /** Fills what the pieces hold, all of them or none. Never gets a piece twice in a call, nor one that is encoded. */
  encodePieces: (pieces: readonly Piece[]) => Promise<void>
  /** Whether it holds its features, through whichever item. */
  isEncoded: (piece: Piece) => boolean
  /** Sequences that run at a time. */
  maxRows: number
  /** Bytes of keys and values, over which no sequence is let in. */
  maxCacheBytes: number
  /** Tokens of a prompt that are fed in one step. */
  prefillTokens: number
  /** Pieces that are encoded in one step. */
  piecesAtOnce: number
}

/** Opaque: one answer on its way. */
export interface ChatSequence {
  readonly phase: 'encode' | 'prefill' | 'decode'
}

/** Work in progress: the signature stands, steps follow. */
export function createChatStepper<Piece>(options: ChatStepperOptions<Piece>): Stepper<ChatItem<Piece>, ChatSequence> {
  throw new Error(`not built yet: ${options.maxRows} rows`)
}
