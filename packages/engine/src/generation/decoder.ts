import { VisionQueueError } from '@vision-queue/protocol'

import { numberTypes, toFeed, type Feed, type OutputTensor } from '../onnx/tensor.ts'
import type { Session } from '../onnx/session.ts'
import { toBlock, type RowBlock, type RowTensor } from './row-block.ts'

/** A decoder's view of some rows: what it has seen of them, and the images they are about. */
export interface DecoderState {
  /** Keys and values of the ids seen so far, by input name; null before the first step. */
  own: RowBlock | null
  /** `encoder_hidden_states`, ``float32 [rows, length, width]``, and once there has been a step the keys and values made of it. */
  cross: RowBlock
}

export interface DecoderStep {
  /** Of each row's last id, ``float32 [vocabulary]``. */
  logits: Float32Array[]
  own: RowBlock
  cross: RowBlock
}

/** An autoregressive decoder in Optimum's export layout, whichever of its two forms the folder has. */
export interface Decoder {
  /** Feeds so many ids to each row; all rows have the same past and get the same number of ids. */
  step: (ids: readonly (readonly number[])[], state: DecoderState) => Promise<DecoderStep>
}

export const hiddenStates = 'encoder_hidden_states'
const pastPrefix = 'past_key_values.'

/**
 * Opens `decoder_model_merged` or, where there is none, `decoder_model` and `decoder_with_past_model`.
 * Names, layers, heads and sizes are read from the graphs. Throws `model_unavailable`.
 */
export function openDecoder(sessions: ReadonlyMap<string, Session>): Decoder {
  const merged = sessions.get('decoder_model_merged')
  const first = merged ?? sessions.get('decoder_model')
  const later = merged ?? sessions.get('decoder_with_past_model')
  if (first === undefined || later === undefined) {
    throw unavailable(
      'needs decoder_model_merged.onnx, or decoder_model.onnx and decoder_with_past_model.onnx, in its onnx folder',
    )
  }
  const cacheNames = [...later.inputs.keys()].filter((name) => name.startsWith(pastPrefix))
  check(first, later, cacheNames)

  return {
    async step(ids, state) {
      const session = state.own === null ? first : later
      const outputs = await session.run(toFeeds(session, ids, state))
      const { logits } = outputs
      if (logits === undefined) throw new Error('no logits came out')
      const [own, cross] = [new Map<string, RowTensor>(), new Map<string, RowTensor>()]
      for (const name of cacheNames) {
        // What is made of the image is made once: a later step gives it not at all, or as a dummy.
        if (isCross(name) && state.own !== null) continue
        const present = outputs[presentName(name)]
        if (present === undefined) throw new Error(`no ${presentName(name)} came out`)
        ;(isCross(name) ? cross : own).set(name, present)
      }
      return {
        logits: lastOfEach(logits, ids.length),
        own: toBlock(ids.length, own),
        cross: state.own === null ? toBlock(ids.length, keptOf(state.cross, later, cross)) : state.cross,
      }
    },
  }
}

/** The hidden states are kept only for graphs that take them at every step. */
function keptOf(before: RowBlock, later: Session, made: Map<string, RowTensor>): [string, RowTensor][] {
  return [...[...before.tensors].filter(([name]) => later.inputs.has(name)), ...made]
}

function toFeeds(
  session: Session,
  ids: readonly (readonly number[])[],
  { own, cross }: DecoderState,
): Record<string, Feed> {
  const rows = ids.length
  const length = ids[0]?.length ?? 0
  if (ids.some((row) => row.length !== length)) throw new Error('the rows of one step get different numbers of ids')
  const past = own === null ? 0 : ([...own.tensors.values()][0]?.dims[2] ?? 0)
  const feeds: Record<string, Feed> = {}
  for (const [name, { type, dims }] of session.inputs) {
    const cached = own?.tensors.get(name) ?? cross.tensors.get(name)
    if (cached !== undefined) feeds[name] = toFeed(type, cached.data, [...cached.dims])
    else if (name.startsWith(pastPrefix)) {
      const [, heads, , size] = dims
      feeds[name] = toFeed(type, [], [rows, heads ?? 0, 0, size ?? 0])
    } else {
      const plain = plainNumbers(name, { ids, rows, length, past, cross })
      feeds[name] = toFeed(type, plain.numbers, plain.dims)
    }
  }
  return feeds
}

/** The inputs besides the states. Rows of a step are as long as each other, so masks hide nothing. */
function plainNumbers(
  name: string,
  step: { ids: readonly (readonly number[])[]; rows: number; length: number; past: number; cross: RowBlock },
): { numbers: number[]; dims: number[] } {
  const { ids, rows, length, past, cross } = step
  const ones = (count: number, dims: number[]) => ({ numbers: Array.from({ length: count }, () => 1), dims })
  const places = Array.from({ length }, (_, index) => past + index)
  switch (name) {
    case 'input_ids':
      return { numbers: ids.flat(), dims: [rows, length] }
    case 'use_cache_branch':
      return { numbers: [past === 0 ? 0 : 1], dims: [1] }
    case 'num_logits_to_keep':
      // One number for all rows: only the logits of each row's last place are read.
      return { numbers: [1], dims: [] }
    case 'attention_mask':
    case 'decoder_attention_mask':
      return ones(rows * (past + length), [rows, past + length])
    case 'encoder_attention_mask': {
      const seen = cross.tensors.get(hiddenStates)?.dims[1] ?? [...cross.tensors.values()][0]?.dims[2] ?? 0
      return ones(rows * seen, [rows, seen])
    }
    case 'position_ids':
      return { numbers: Array.from({ length: rows }, () => places).flat(), dims: [rows, length] }
    case 'cache_position':
      return { numbers: places, dims: [length] }
    default:
      throw new Error(`nothing is known to feed to ${name}`)
  }
}

const plainInputs = new Set([
  'input_ids',
  'use_cache_branch',
  'attention_mask',
  'decoder_attention_mask',
  'encoder_attention_mask',
  'position_ids',
  'cache_position',
  'num_logits_to_keep',
])

function check(first: Session, later: Session, cacheNames: readonly string[]): void {
  if (cacheNames.length === 0) throw unavailable(`has a decoder without ${pastPrefix}* inputs; export it with its past`)
  for (const session of new Set([first, later])) {
    const ids = session.inputs.get('input_ids')?.type
    if (ids !== 'int64' && ids !== 'int32') {
      const instead = session.inputs.has('inputs_embeds')
        ? '; it takes inputs_embeds, as parts of larger models do'
        : ''
      throw unavailable(`has a decoder without input_ids as int64 or int32${instead}`)
    }
    if (!session.outputs.has('logits')) throw unavailable('has a decoder without an output named logits')
    for (const [name, { type, dims }] of session.inputs) {
      if (!numberTypes.includes(type)) throw unavailable(`has a decoder that takes ${name} as ${type}`)
      if (plainInputs.has(name) || name === hiddenStates) continue
      if (!name.startsWith(pastPrefix)) throw unavailable(`has a decoder with an input that is not known: ${name}`)
      if (dims.length !== 4 || dims[1] === null || dims[3] === null) {
        throw unavailable(`has ${name} without fixed numbers of heads and sizes: [${dims.map(String).join(', ')}]`)
      }
    }
  }
  for (const name of cacheNames) {
    const sources = isCross(name) ? [first] : [first, later]
    if (!sources.every((session) => session.outputs.has(presentName(name)))) {
      throw unavailable(`has a decoder that takes ${name} and does not give ${presentName(name)}`)
    }
  }
}

function isCross(name: string): boolean {
  return name.includes('.encoder.')
}

function presentName(name: string): string {
  return `present.${name.slice(pastPrefix.length)}`
}

/** The logits of each row's last place, of ``float32 [rows, places, vocabulary]``. */
function lastOfEach({ data, dims }: OutputTensor, rows: number): Float32Array[] {
  const [outRows, places = 0, size = 0] = dims
  if (outRows !== rows || dims.length !== 3) throw new Error(`logits came out as [${dims.join(', ')}] for ${rows} rows`)
  return Array.from({ length: rows }, (_, row) =>
    data.subarray(((row + 1) * places - 1) * size, (row + 1) * places * size),
  )
}

function unavailable(what: string): VisionQueueError {
  return new VisionQueueError('model_unavailable', `The model ${what}.`)
}
