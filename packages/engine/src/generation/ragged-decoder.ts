import type { Session } from '../onnx/session.ts'
import { bytesOfToken } from './cache-memory.ts'
import { hiddenStates, readDecoderLayout, type DecoderLayout } from './decoder-layout.ts'
import { bytesOfRows, createRowMemory, type DecoderRow, type RowSize } from './decoder-rows.ts'
import { createStepRun } from './decoder-step.ts'
import type { GenerationPrompt } from './generation-prompt.ts'

export type { DecoderRow, RowSize } from './decoder-rows.ts'

/** One row and the token that it is fed. */
export interface NextToken {
  row: DecoderRow
  id: number
}

/**
 * A decoder whose sequences may be of any lengths and yet share its steps (see Padding). Keys and values lie in memory
 * that is used again: while the rows of a step stay the same nothing of them is copied by us. One call at a time.
 */
export interface RaggedDecoder extends Pick<DecoderLayout, 'padding' | 'takesEmbeds' | 'width' | 'positionAxes'> {
  /** Keys and values of one token. */
  readonly bytesPerToken: number
  /** Of keys and values. */
  readonly maxBytes: number
  /** See bytesOfRows. */
  bytesOf: (sizes: readonly RowSize[]) => number
  begin: (prompt: GenerationPrompt, maxTokens: number) => DecoderRow
  /**
   * Feeds at most `tokens` more of a row's prompt, by itself. The logits after its last token, ``float32
   * [vocabulary]``; null while there is more. Where it rejects, nothing has changed.
   */
  prefill: (row: DecoderRow, tokens: number) => Promise<Float32Array | null>
  /** Rows of equal keys can share a step. */
  keyOf: (row: DecoderRow) => string
  /**
   * Feeds one token to each row. Logits in the same order, which the next call overwrites. `embeds`: of the tokens,
   * where the graph takes them. Where it rejects, no row has moved.
   */
  decode: (next: readonly NextToken[], embeds: Float32Array | null) => Promise<Float32Array[]>
  release: (row: DecoderRow) => void
  /** The most bytes of keys and values that there ever were. */
  readonly peakBytes: number
  /** What the rows have now. */
  readonly heldBytes: number
}

/** A prompt's logits at all of its places take no more than this, where the graph can not leave them out. */
const promptLogitsBytes = 64 * 1024 * 1024

/**
 * Opens `decoder_model_merged`, or `decoder_model` and what continues it. Names, types, layers, heads and sizes are read
 * from the graphs. `maxBytes` is kept as long as the rows that
 * are begun need no more of it (`bytesOf`). Default: 1 GiB. Throws `model_unavailable`.
 */
export function openRaggedDecoder(
  sessions: ReadonlyMap<string, Session>,
  { maxBytes = 1024 ** 3 }: { maxBytes?: number } = {},
): RaggedDecoder {
  const layout = readDecoderLayout(sessions)
  const memory = createRowMemory(layout, maxBytes)
  const pieceLimit = longestPiece(layout)
  const run = createStepRun(layout, memory)

  async function decodeTogether(next: readonly NextToken[], embeds: Float32Array | null): Promise<Float32Array[]> {
    const order = inPlace(next.map(({ row }) => row))
    const batch = memory.assemble(
      order.map((at) => rowAt(next, at).row),
      1,
    )
    const width = embeds === null ? 0 : embeds.length / next.length
    const logits = await run(batch, {
      ids: order.map((at) => rowAt(next, at).id),
      embeds: embeds === null ? null : pickRows(embeds, width, order),
      positions: [Int32Array.from(batch.members, ({ position }) => position)],
      length: 1,
      wantsLogits: true,
    })
    for (const row of batch.members) row.position += 1
    const inOrder: Float32Array[] = []
    for (const [place, at] of order.entries()) inOrder[at] = logits[place] ?? new Float32Array()
    return inOrder
  }

  return {
    padding: layout.padding,
    takesEmbeds: layout.takesEmbeds,
    width: layout.width,
    positionAxes: layout.positionAxes,
    bytesPerToken: bytesOfToken(layout.own),
    maxBytes,
    bytesOf: (sizes) => bytesOfRows(layout, sizes),
    begin: (prompt, maxTokens) => beginRow(layout, prompt, maxTokens),
    async prefill(row, tokens) {
      const { prompt } = row
      if (prompt === null) throw new Error('a prompt is fed once')
      memory.pack(new Set())
      const from = row.length
      const length = Math.min(prompt.ids.length - from, Math.max(tokens, pieceLimit.least), pieceLimit.most)
      const isLast = from + length === prompt.ids.length
      const width = prompt.embeds === null ? 0 : prompt.embeds.length / prompt.ids.length
      const [logits] = await run(memory.assemble([row], length), {
        ids: prompt.ids.slice(from, from + length),
        embeds: prompt.embeds?.subarray(from * width, (from + length) * width) ?? null,
        positions: prompt.positions.map((axis) => axis.subarray(from, from + length)),
        length,
        wantsLogits: isLast,
      })
      if (!isLast) return null
      row.prompt = null
      return logits ?? null
    },
    keyOf: ({ length, crossLength }) =>
      `${layout.padding === 'none' ? length : ''} ${layout.masksCross ? '' : crossLength}`,
    async decode(next, embeds) {
      memory.pack(new Set(next.map(({ row }) => row)))
      if (next.length <= layout.maxShared) return decodeTogether(next, embeds)
      const logits: Float32Array[] = []
      for (const [at, one] of next.entries()) {
        const width = embeds === null ? 0 : embeds.length / next.length
        const own = embeds?.subarray(at * width, (at + 1) * width) ?? null
        logits.push(...(await decodeTogether([one], own)).map((row) => row.slice()))
      }
      return logits
    },
    release: memory.release,
    get peakBytes() {
      return memory.bytes.peakBytes
    },
    get heldBytes() {
      return memory.bytes.heldBytes
    },
  }
}

/** Tokens of a prompt that go in one run. */
function longestPiece({ wholePrompt, later, vocabulary }: DecoderLayout): { least: number; most: number } {
  if (wholePrompt) return { least: Infinity, most: Infinity }
  const leavesOut = later.inputs.has('num_logits_to_keep') || later.inputs.has('logits_to_keep')
  if (leavesOut || vocabulary === null) return { least: 1, most: Infinity }
  return { least: 1, most: Math.max(16, Math.floor(promptLogitsBytes / (4 * vocabulary))) }
}

function beginRow(layout: DecoderLayout, prompt: GenerationPrompt, maxTokens: number): DecoderRow {
  const { ids, embeds, positions, cross } = prompt
  if (ids.length === 0 || ids.length > maxTokens) {
    throw new Error(`a prompt of ${ids.length} tokens, of ${maxTokens} that were counted with`)
  }
  if ((embeds !== null) !== layout.takesEmbeds) throw new Error('the decoder takes the other of ids and embeddings')
  if (positions.length === 0 || positions.some((axis) => axis.length !== ids.length)) {
    throw new Error('each id of a prompt has a position on each axis')
  }
  const crossLength = cross?.tensors.get(hiddenStates)?.dims[1] ?? 0
  if (layout.cross.length > 0 && crossLength === 0) throw new Error('the decoder takes the states of an encoder')
  return { maxTokens, prompt, length: 0, position: prompt.nextPosition, crossLength, batch: null }
}

/** The places of the rows in the order in which they lie in memory, if they lie there together, so that none need be moved. */
function inPlace(rows: readonly DecoderRow[]): number[] {
  const order = rows.map((_, at) => at)
  const batch = rows[0]?.batch
  if (batch == null || rows.some((row) => row.batch !== batch)) return order
  const placeOf = (at: number): number => batch.members.findIndex((member) => member === rows[at])
  return order.toSorted((a, b) => placeOf(a) - placeOf(b))
}

function rowAt(next: readonly NextToken[], at: number): NextToken {
  const one = next[at]
  if (one === undefined) throw new Error('a row is missing')
  return one
}

function pickRows(values: Float32Array, width: number, order: readonly number[]): Float32Array {
  if (order.every((at, place) => at === place)) return values
  const picked = new Float32Array(values.length)
  for (const [place, at] of order.entries()) picked.set(values.subarray(at * width, (at + 1) * width), place * width)
  return picked
}
