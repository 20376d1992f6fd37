import { toFeed, type Feed } from '../onnx/tensor.ts'
import type { Session } from '../onnx/session.ts'
import { pastPrefix, type DecoderLayout } from './decoder-layout.ts'
import type { RowBatch } from './decoder-rows.ts'

/** What the rows of a step are fed, row after row. */
export interface StepTokens {
  ids: readonly number[]
  /** ``float32 [ids.length, width]``; null where the graph takes ids. */
  embeds: Float32Array | null
  /** By axis, the position of each id; one axis stands for all. */
  positions: readonly Int32Array[]
  /** Tokens of each row. */
  length: number
  /** Whether anybody will look at the logits. */
  wantsLogits: boolean
}

/** All inputs of a step besides the keys and values. */
export function toFeeds(
  { layout, session, batch }: { layout: DecoderLayout; session: Session; batch: RowBatch },
  tokens: StepTokens,
): Record<string, Feed> {
  const feeds: Record<string, Feed> = {}
  for (const [name, { type, dims }] of session.inputs) {
    if (name.startsWith(pastPrefix) || layout.cross.some((tensor) => tensor.name === name)) continue
    if (name === 'attention_mask' || name === 'decoder_attention_mask') {
      feeds[name] = ownMask(type, { layout, batch, length: tokens.length })
    } else {
      const { numbers, shape } = plainNumbers(name, { layout, batch, tokens, rank: dims.length })
      feeds[name] = toFeed(type, numbers, shape)
    }
  }
  return feeds
}

interface Plain {
  numbers: Float32Array | readonly number[]
  shape: number[]
}

function plainNumbers(
  name: string,
  { layout, batch, tokens, rank }: { layout: DecoderLayout; batch: RowBatch; tokens: StepTokens; rank: number },
): Plain {
  const { ids, embeds, length } = tokens
  const rows = batch.members.length
  switch (name) {
    case 'input_ids':
      return { numbers: ids, shape: [rows, length] }
    case 'inputs_embeds':
      if (embeds === null) throw new Error('the decoder takes embeddings, and the prompt has none')
      return { numbers: embeds, shape: [rows, length, embeds.length / ids.length] }
    case 'use_cache_branch':
      return { numbers: [isFirst(batch) ? 0 : 1], shape: [1] }
    case 'num_logits_to_keep':
    case 'logits_to_keep':
      // One number for all rows: only the logits of each row's last place are read.
      return { numbers: [1], shape: rank === 0 ? [] : [1] }
    case 'encoder_attention_mask':
      return crossMask(batch)
    case 'position_ids':
      return positionIds(layout, tokens, rows)
    case 'cache_position':
      return { numbers: Array.from({ length }, (_, at) => widthOf(batch) + at), shape: [length] }
    default:
      throw new Error(`nothing is known to feed to ${name}`)
  }
}

/** Whether these rows have no past yet. */
export function isFirst({ members }: RowBatch): boolean {
  return members.every((row) => row.length === 0)
}

function widthOf({ members }: RowBatch): number {
  return Math.max(...members.map((row) => row.length))
}

/** 1 for the row's own tokens: at the beginning of a row padded on the right, else at its end. */
function ownMask(
  type: string,
  { layout, batch, length }: { layout: DecoderLayout; batch: RowBatch; length: number },
): Feed {
  const width = widthOf(batch) + length
  const size = batch.members.length * width
  // The usual type is filled as it is: a number made a big one, thousands of times a step, would be felt.
  const [longs, numbers] = [
    new BigInt64Array(type === 'int64' ? size : 0),
    new Float32Array(type === 'int64' ? 0 : size),
  ]
  for (const [at, row] of batch.members.entries()) {
    const own = row.length + length
    const start = at * width + (layout.padding === 'right' ? 0 : width - own)
    longs.fill(1n, start, start + own)
    numbers.fill(1, start, start + own)
  }
  const dims = [batch.members.length, width]
  return type === 'int64' ? { type, data: longs, dims } : toFeed(type, numbers, dims)
}

function crossMask({ members }: RowBatch): Plain {
  const width = Math.max(...members.map(({ crossLength }) => crossLength))
  const numbers = members.flatMap(({ crossLength }) =>
    Array.from({ length: width }, (_, at) => (at < crossLength ? 1 : 0)),
  )
  return { numbers, shape: [members.length, width] }
}

function positionIds({ positionAxes }: DecoderLayout, { positions, length }: StepTokens, rows: number): Plain {
  const axes = Array.from({ length: positionAxes }, (_, axis) => positions[axis] ?? positions[0] ?? new Int32Array())
  const numbers = axes.flatMap((axis) => Array.from(axis))
  return { numbers, shape: positionAxes === 1 ? [rows, length] : [positionAxes, rows, length] }
}
