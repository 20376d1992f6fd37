import { fromHalves } from '../onnx/half-float.ts'
import type { Session } from '../onnx/session.ts'
import { blankFeed, partOf, toFeed, type Feed } from '../onnx/tensor.ts'
import { feedOf, type CacheTensor, type CacheView, type FloatFeed } from './cache-memory.ts'
import { isFirst, toFeeds, type StepTokens } from './decoder-feeds.ts'
import { hiddenStates, type DecoderLayout } from './decoder-layout.ts'
import type { RowBatch, RowMemory } from './decoder-rows.ts'

/** Feeds tokens to a batch: logits of each row's last place, none where nobody wants them; rejects without a trace. */
export type StepRun = (batch: RowBatch, tokens: StepTokens) => Promise<Float32Array[]>

/**
 * One run of the graph. New keys and values go where they stay: rows padded on the right are written to in place, where
 * the memory is the processor's own; of others the whole past moves to the batch's other block, as the graph joins it.
 */
export function createStepRun(layout: DecoderLayout, memory: RowMemory): StepRun {
  const toLogits = createLogitsMemory(layout)
  const inPlace = layout.padding === 'right' && layout.later.provider === 'cpu'

  return async (batch, tokens) => {
    const starts = isFirst(batch)
    const session = starts ? layout.first : layout.later
    const runInto = session.runInto
    if (runInto === undefined) throw new Error('this session can not write into given memory')
    const rows = batch.members.length
    const width = layout.padding === 'right' ? batch.own.width : batch.own.width + tokens.length
    const block = inPlace ? batch.own.block : memory.spareFor(batch, width)
    const next: CacheView = { block, rows, width }
    const feeds = { ...toFeeds({ layout, session, batch }, tokens), ...crossFeeds(layout, session, batch, starts) }
    const outputs: Record<string, Feed | null> = {}
    for (const tensor of layout.own) {
      if (session.inputs.has(tensor.name)) feeds[tensor.name] = feedOf(batch.own, tensor)
      if (tensor.present !== null) outputs[tensor.present] = feedOf(next, tensor)
    }
    const made = starts ? layout.cross.filter(({ present }) => present !== null) : []
    for (const { present } of made) if (present !== null) outputs[present] = null
    if (tokens.wantsLogits) outputs['logits'] = toLogits.memoryFor(rows, tokens.length)
    const results = await runInto(feeds, outputs)
    if (starts && layout.cross.length > 0) keepCross(layout, memory, batch, results)
    if (!inPlace) batch.spare = batch.own.block
    batch.own = next
    for (const row of batch.members) row.length += tokens.length
    return tokens.wantsLogits ? toLogits.read(results['logits'], rows) : []
  }
}

/** What is made of the encoder's states; before it is made, the states themselves, and nothing for the rest. */
function crossFeeds(layout: DecoderLayout, session: Session, batch: RowBatch, starts: boolean): Record<string, Feed> {
  const feeds: Record<string, Feed> = {}
  const rows = batch.members.length
  for (const tensor of layout.cross) {
    if (!session.inputs.has(tensor.name)) continue
    if (!starts) {
      if (batch.cross === null) throw new Error('the rows have no states of an encoder')
      feeds[tensor.name] = crossFeed(feedOf(batch.cross, tensor), tensor)
    } else if (tensor.name === hiddenStates) feeds[tensor.name] = statesOf(batch, tensor)
    else feeds[tensor.name] = blankFeed(tensor.type, [rows, tensor.heads, 0, tensor.size])
  }
  return feeds
}

/** The encoder's states have three dimensions, what is made of them four. */
function crossFeed(feed: FloatFeed, { name }: CacheTensor): FloatFeed {
  const [rows = 0, , width = 0, size = 0] = feed.dims
  return name === hiddenStates ? partOf(feed, 0, feed.data.length, [rows, width, size]) : feed
}

function statesOf({ members }: RowBatch, { type }: CacheTensor): Feed {
  const [row] = members
  const states = row?.prompt?.cross?.tensors.get(hiddenStates)
  if (states === undefined || members.length > 1) throw new Error('the encoder states of one row are fed at a time')
  return toFeed(type, states.data, [...states.dims])
}

function keepCross(layout: DecoderLayout, memory: RowMemory, batch: RowBatch, results: Record<string, Feed>): void {
  const [row] = batch.members
  if (row === undefined) return
  memory.setCross(row, batch, (view) => {
    for (const tensor of layout.cross) {
      const made = tensor.present === null ? statesOf(batch, tensor) : results[tensor.present]
      const target = feedOf(view, tensor)
      if (made === undefined || made.type !== target.type || made.data.length !== target.data.length) {
        throw new Error(`${tensor.present ?? tensor.name} is of another size than the encoder's states`)
      }
      target.data.set(made.data)
    }
  })
}

/** Logits come out into the same memory at every step, if the graph says how many there are. */
function createLogitsMemory({ later, vocabulary }: DecoderLayout) {
  const { type = 'float32' } = later.outputs.get('logits') ?? {}
  let memory: Feed = { type: 'float32', data: new Float32Array(), dims: [0] }
  return {
    memoryFor(rows: number, length: number): Feed | null {
      if (vocabulary === null || length > 1 || (type !== 'float32' && type !== 'float16')) return null
      const size = rows * vocabulary
      if (memory.type !== type || memory.data.length < size) memory = blankFeed(type, [size])
      return partOf(memory, 0, size, [rows, 1, vocabulary])
    },
    /** Of each row's last place; one place is there where the graph was asked for no more. */
    read(logits: Feed | undefined, rows: number): Float32Array[] {
      if (logits === undefined || logits.dims.length !== 3 || logits.dims[0] !== rows) {
        throw new Error(`logits came out as [${logits?.dims.join(', ') ?? ''}] for ${rows} rows`)
      }
      const [, places = 0, size = 0] = logits.dims
      const { data } = logits
      return Array.from({ length: rows }, (_, row) => {
        const [start, end] = [((row + 1) * places - 1) * size, (row + 1) * places * size]
        if (data instanceof Float32Array) return data.subarray(start, end)
        if (data instanceof Uint16Array) return fromHalves(data.subarray(start, end))
        throw new Error(`logits came out as ${logits.type}`)
      })
    },
  }
}
