import type { TaskOutput } from '../task-output.ts'
import type { Stepper } from '../tasks/stepper.ts'
import type { GenerationPrompt } from './generation-prompt.ts'
import type { LogitsRules } from './logits-rules.ts'
import { createPhaseTurns, nextPieces, type Phase } from './phase-turns.ts'
import type { DecoderRow, RaggedDecoder } from './ragged-decoder.ts'
import type { StepResult } from './running-sequence.ts'
import type { SamplingOptions } from './sampling.ts'
import type { Schedulable } from './step-scheduler.ts'
import { createTextStream, cutAtStop, type TextStream } from './text-stream.ts'
import type { TokenConstraint } from './token-constraint.ts'
import type { TokenLogprob } from './token-logprobs.ts'
import { createTokenSearch, type TokenSearch } from './token-search.ts'

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
  /** Tokens of a prompt that are fed in one step. */
  prefillTokens: number
  /** Pieces that are encoded in one step. */
  piecesAtOnce: number
}

/** One answer on its way. */
export interface ChatSequence<Piece> extends Schedulable {
  readonly item: ChatItem<Piece>
  row: DecoderRow | null
  search: TokenSearch | null
  stream: TextStream
}

const nothing: StepResult = { piece: null, output: null }

/**
 * Steps of three kinds: pieces of images of several sequences are encoded together; a piece of one prompt is fed; every
 * sequence that is generating gets its next token. Between two steps of the first kinds there is one of the last, so
 * that whoever reads waits for one piece at most, however long the prompts are that join. Prompts take turns. A
 * sequence joins only where the keys and values of all, grown to their longest, fit in the decoder's memory.
 */
export function createChatStepper<Piece>(
  options: ChatStepperOptions<Piece>,
): Stepper<ChatItem<Piece>, ChatSequence<Piece>> &
  Required<Pick<Stepper<ChatItem<Piece>, unknown>, 'bytesOf' | 'maxBytes'>> {
  const { decoder, embed, encodePieces, isEncoded, maxRows, prefillTokens, piecesAtOnce } = options
  const phaseOf = ({ item, search }: ChatSequence<Piece>): Phase => {
    if (search !== null) return 'decode'
    return item.pieces.every(isEncoded) ? 'prefill' : 'encode'
  }
  const takePieces = (sequences: readonly ChatSequence<Piece>[]) => nextPieces(sequences, isEncoded, piecesAtOnce)

  async function encode(sequences: readonly ChatSequence<Piece>[]): Promise<StepResult[]> {
    const { pieces } = takePieces(sequences)
    await encodePieces(pieces)
    if (!pieces.every(isEncoded)) throw new Error('a piece of an image was not encoded')
    return sequences.map(() => nothing)
  }

  async function prefill(sequence: ChatSequence<Piece>): Promise<StepResult> {
    const { item } = sequence
    if (sequence.row === null) sequence.row = decoder.begin(await item.toPrompt(), item.maxTokens)
    const { row } = sequence
    const ids = row.prompt?.ids ?? []
    const logits = await decoder.prefill(row, prefillTokens)
    if (logits === null) return nothing
    sequence.search = createTokenSearch({ ...item, prompt: ids })
    return advance(sequence, sequence.search, logits)
  }

  async function decode(sequences: readonly ChatSequence<Piece>[]): Promise<(StepResult | Error)[]> {
    const next = sequences.map(({ row, search }) => {
      const id = search?.generated.at(-1)
      if (row === null || id === undefined) throw new Error('a sequence has no token to go on from')
      return { row, id }
    })
    const embeds = embed === null ? null : await embed(next.map(({ id }) => id))
    const logits = await decoder.decode(next, embeds)
    return sequences.map((sequence, at) => {
      const own = logits[at]
      if (own === undefined || sequence.search === null) return new Error('a sequence got no logits')
      try {
        return advance(sequence, sequence.search, own)
      } catch (error) {
        return error instanceof Error ? error : new Error('a sequence failed', { cause: error })
      }
    })
  }

  return {
    maxRows,
    rowsOf: () => 1,
    bytesOf: (items) => decoder.bytesOf(items),
    maxBytes: decoder.maxBytes,
    heldBytes: () => decoder.heldBytes,
    phaseOf,
    async start(items) {
      return items.map(newSequence)
    },
    choose: createPhaseTurns({ phaseOf, takePieces, keyOf: ({ row }) => (row === null ? '' : decoder.keyOf(row)) }),
    async step(sequences) {
      const [first] = sequences
      if (first === undefined) return []
      const phase = phaseOf(first)
      switch (phase) {
        case 'encode':
          return encode(sequences)
        case 'prefill':
          return [await prefill(first)]
        case 'decode':
          return decode(sequences)
        default:
          return phase satisfies never
      }
    },
    leave({ row }) {
      if (row !== null) decoder.release(row)
    },
  }
}

function newSequence<Piece>(item: ChatItem<Piece>): ChatSequence<Piece> {
  return { item, row: null, search: null, stream: createTextStream(item.stop), stepKey: '', turnsWaited: 0 }
}

function advance<Piece>({ item, stream }: ChatSequence<Piece>, search: TokenSearch, logits: Float32Array): StepResult {
  const { stop, toText } = item
  const reason = search.advance(logits)
  if (reason === null && !item.stream && stop.length === 0) return nothing
  const whole = toText(search.generated)
  const cut = cutAtStop(whole, stop)
  if (reason === null && cut === null) return { piece: item.stream ? stream.push(whole) : null, output: null }
  const text = cut ?? whole
  const finishReason = cut === null && reason === 'length' ? 'length' : 'stop'
  const output = item.toOutput({ text, ids: search.generated, finishReason, logprobs: search.logprobs })
  return { piece: item.stream ? stream.finish(text) : null, output }
}
