import { VisionQueueError } from '@vision-queue/protocol'

import { numberTypes, type TensorShape } from '../onnx/tensor.ts'
import type { Session } from '../onnx/session.ts'
import type { CacheTensor } from './cache-memory.ts'

/**
 * How rows of unequal length share a run. `right`: operators that are told each row's length and put new keys at its
 * end, as GroupQueryAttention, which computes wrong answers from padding on the left. `left`: a mask hides the padding
 * and each token's position is told, so that all rows end at the same place. `none`: the graph has no mask for the
 * past or counts positions by itself, and only rows of equal length go together.
 */
export type Padding = 'right' | 'left' | 'none'

/** What a decoder's graphs take and give. */
export interface DecoderLayout {
  /** Runs while there is no past. */
  first: Session
  /** Runs after that; of a merged decoder and of one that always takes a past, the same. */
  later: Session
  padding: Padding
  /** Whether the whole prompt goes in one run: graphs with a branch or file of their own for it have no causal mask in the other. */
  wholePrompt: boolean
  takesEmbeds: boolean
  /** Of `inputs_embeds`; null where it is open, or there is none. */
  width: number | null
  positionAxes: 1 | 3
  /** Keys and values of the sequence itself. */
  own: readonly CacheTensor[]
  /** What is made of the encoder's states, and the states where a graph takes them. */
  cross: readonly CacheTensor[]
  /** Whether rows may have encoder's states of unequal lengths. */
  masksCross: boolean
  /** Entries of a row of logits; null where it is open. */
  vocabulary: number | null
  /** Rows that may share a run. */
  maxShared: number
}

export const hiddenStates = 'encoder_hidden_states'
export const pastPrefix = 'past_key_values.'

/** Operators of com.microsoft that get each row's length and lay its keys one after the other from the left. */
const rightPadded = ['GroupQueryAttention', 'SparseAttention', 'PagedAttention']

const knownInputs = new Set([
  'input_ids',
  'inputs_embeds',
  'use_cache_branch',
  'attention_mask',
  'decoder_attention_mask',
  'encoder_attention_mask',
  'position_ids',
  'cache_position',
  'num_logits_to_keep',
  'logits_to_keep',
  hiddenStates,
])

/** Reads names, types, heads and sizes from the graphs; throws `model_unavailable` for a decoder that can't be fed. */
export function readDecoderLayout(sessions: ReadonlyMap<string, Session>): DecoderLayout {
  const whole = sessions.get('decoder_model_merged') ?? sessions.get('decoder_model')
  const later = sessions.get('decoder_model_merged') ?? sessions.get('decoder_with_past_model') ?? whole
  if (whole === undefined || later === undefined) throw unavailable('needs onnx/decoder_model_merged.onnx')
  const cacheNames = [...later.inputs.keys()].filter((name) => name.startsWith(pastPrefix))
  if (cacheNames.length === 0) throw unavailable(`has a decoder without ${pastPrefix}* inputs; export it with its past`)
  for (const session of new Set([whole, later])) checkInputs(session)
  const tensors = cacheNames.map((name) => toCacheTensor(name, later))
  for (const { name, present } of tensors) {
    const givers = isCross(name) ? [whole] : [whole, later]
    if (present === null || givers.every(({ outputs }) => outputs.has(present))) continue
    throw unavailable(`has a decoder that takes ${name} and does not give ${present}`)
  }
  const embeds = later.inputs.get('inputs_embeds')
  const isShared = later.rowsApart !== true && rowsOf(later) === null
  return {
    first: whole,
    later,
    padding: paddingOf(later),
    wholePrompt: whole !== later || later.inputs.has('use_cache_branch'),
    takesEmbeds: embeds !== undefined,
    width: embeds?.dims[2] ?? null,
    positionAxes: later.inputs.get('position_ids')?.dims.length === 3 ? 3 : 1,
    own: tensors.filter(({ name }) => !isCross(name)),
    cross: [...statesOf(whole, later), ...tensors.filter(({ name }) => isCross(name))],
    masksCross: later.inputs.has('encoder_attention_mask'),
    vocabulary: later.outputs.get('logits')?.dims[2] ?? null,
    maxShared: isShared ? Infinity : 1,
  }
}

function paddingOf({ inputs, operators }: Session): Padding {
  const isMasked = inputs.has('attention_mask') || inputs.has('decoder_attention_mask')
  const isRight = operators !== undefined && rightPadded.some((operator) => operators.has(operator))
  if (isRight && isMasked) return 'right'
  return !isRight && isMasked && inputs.has('position_ids') ? 'left' : 'none'
}

/** The number of rows that the graph fixes. More than one can not be had of it. */
function rowsOf({ inputs }: Session): number | null {
  const rows = (inputs.get('inputs_embeds') ?? inputs.get('input_ids'))?.dims[0] ?? null
  if (rows !== null && rows > 1) throw unavailable(`has a decoder of exactly ${rows} rows; export it for any number`)
  return rows
}

/** The encoder's states are kept as long as a graph that runs after the first time takes them. */
function statesOf(first: Session, later: Session): CacheTensor[] {
  const shape = first.inputs.get(hiddenStates) ?? later.inputs.get(hiddenStates)
  if (shape === undefined) return []
  const size = shape.dims[2]
  if (size == null) throw unavailable(`has ${hiddenStates} without a fixed width`)
  return [{ name: hiddenStates, present: null, type: floatType(hiddenStates, shape), heads: 1, size }]
}

function toCacheTensor(name: string, { inputs }: Session): CacheTensor {
  const shape = inputs.get(name) ?? { type: '', dims: [] }
  const [, heads, , size] = shape.dims
  if (shape.dims.length !== 4 || heads == null || size == null) {
    throw unavailable(
      `has ${name} without fixed numbers of heads and sizes: [${shape.dims.map((dim) => dim ?? 'any').join(', ')}]`,
    )
  }
  return { name, present: `present.${name.slice(pastPrefix.length)}`, type: floatType(name, shape), heads, size }
}

function floatType(name: string, { type }: TensorShape): 'float32' | 'float16' {
  if (type === 'float32' || type === 'float16') return type
  throw unavailable(`has a decoder that takes ${name} as ${type} instead of float32 or float16`)
}

function checkInputs({ inputs, outputs }: Session): void {
  const tokens = inputs.get('inputs_embeds') ?? inputs.get('input_ids')
  if (tokens === undefined) throw unavailable('has a decoder that takes neither inputs_embeds nor input_ids')
  if (inputs.has('inputs_embeds') && inputs.has('input_ids')) {
    throw unavailable('has a decoder that takes both inputs_embeds and input_ids')
  }
  if (!outputs.has('logits')) throw unavailable('has a decoder without an output named logits')
  for (const [name, { type }] of inputs) {
    if (!numberTypes.includes(type)) throw unavailable(`has a decoder that takes ${name} as ${type}`)
    if (!knownInputs.has(name) && !name.startsWith(pastPrefix)) {
      throw unavailable(`has a decoder with an input that is not known: ${name}`)
    }
  }
}

function isCross(name: string): boolean {
  return name.includes('.encoder.')
}

function unavailable(what: string): VisionQueueError {
  return new VisionQueueError('model_unavailable', `The model ${what}.`)
}
