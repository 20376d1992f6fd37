import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import type { AttentionDecoderOptions } from '../../test/attention-decoders.ts'
import {
  embedTiny,
  greedyWithoutCache,
  likeliestNew,
  openTinyDecoder,
  tinyPrompt,
  type TinyDecoder,
} from '../../test/tiny-decoders.ts'
import type { Session } from '../onnx/session.ts'
import { toFeed, type TensorShape } from '../onnx/tensor.ts'
import { openRaggedDecoder, type DecoderRow, type RaggedDecoder } from './ragged-decoder.ts'

const kinds: Record<string, AttentionDecoderOptions> = {
  'masked, by embeddings': { kind: 'plain' },
  'masked, by ids, half floats, last logits alone': {
    kind: 'plain',
    embeds: false,
    type: 'float16',
    keepsLogits: true,
  },
  'masked, three axes of positions': { kind: 'plain', axes: 3 },
  'GroupQueryAttention, by embeddings': { kind: 'grouped', keepsLogits: true },
  'GroupQueryAttention, by ids, half floats': { kind: 'grouped', embeds: false, type: 'float16' },
  'without a mask, with an encoder': { kind: 'crossed' },
}
const lengths = [1, 9, 4, 17, 30, 122]
const count = 12

/** A row on its way: what was generated of it. */
interface Going {
  row: DecoderRow
  ids: number[]
}

async function fill(decoder: RaggedDecoder, tiny: TinyDecoder, seed: number, piece: number): Promise<Going> {
  const prompt = tinyPrompt(tiny, lengths[seed] ?? 1, seed)
  const row = decoder.begin(prompt, prompt.ids.length + count)
  let logits: Float32Array | null = null
  while (logits === null) logits = await decoder.prefill(row, piece)
  return { row, ids: [likeliestNew(logits, [])] }
}

async function step(decoder: RaggedDecoder, going: readonly Going[]): Promise<void> {
  const keys = new Set(going.map(({ row }) => decoder.keyOf(row)))
  for (const key of keys) {
    const some = going.filter(({ row }) => decoder.keyOf(row) === key)
    const next = some.map(({ row, ids }) => ({ row, id: ids.at(-1) ?? -1 }))
    const logits = await decoder.decode(next, decoder.takesEmbeds ? embedTiny(next.map(({ id }) => id)) : null)
    for (const [at, { ids }] of some.entries()) ids.push(likeliestNew(logits[at] ?? new Float32Array(), ids))
  }
}

describe.each(Object.entries(kinds))('a decoder %s', (_, options) => {
  let tiny: TinyDecoder
  const expected: number[][] = []
  beforeAll(async () => {
    tiny = await openTinyDecoder(options)
    for (const [seed, length] of lengths.entries()) {
      expected.push(await greedyWithoutCache(tiny, tinyPrompt(tiny, length, seed), count))
    }
  })
  afterAll(async () => tiny.close())

  it('pads on the side that its operators ask for', () => {
    const { padding } = openRaggedDecoder(tiny.sessions)
    expect(padding).toBe({ plain: 'left', grouped: 'right', crossed: 'none' }[options.kind])
  })

  it.each([1, 3, 64])('gives each row alone what the graph gives without a cache, in pieces of %i', async (piece) => {
    const decoder = openRaggedDecoder(tiny.sessions)
    for (const seed of lengths.keys()) {
      const going = await fill(decoder, tiny, seed, piece)
      while (going.ids.length < count) await step(decoder, [going])
      expect(going.ids).toEqual(expected[seed])
      decoder.release(going.row)
    }
  })

  it('gives rows of any lengths the same together, whoever joins or leaves in whatever order', async () => {
    const sizes = lengths.map((length) => ({ maxTokens: length + count, maxCrossTokens: 6 }))
    const admitted = openRaggedDecoder(tiny.sessions).bytesOf(sizes)
    const decoder = openRaggedDecoder(tiny.sessions, { maxBytes: admitted })
    const orders = [
      [0, 1, 2, 3, 4, 5],
      [4, 0, 5, 2, 1, 3],
      [3, 5, 1],
    ]
    for (const [round, order] of orders.entries()) {
      const waiting = [...order]
      let running: (Going & { seed: number })[] = []
      const done: [number, number[]][] = []
      for (let turn = 0; waiting.length > 0 || running.length > 0; turn += 1) {
        const seed = turn % (round + 1) === 0 ? waiting.shift() : undefined
        if (seed !== undefined) running.push({ seed, ...(await fill(decoder, tiny, seed, 5)) })
        await step(decoder, turn % 3 === 2 ? running.toReversed() : running)
        for (const { seed: own, ids, row } of running.filter((one) => one.ids.length >= count)) {
          done.push([own, ids.slice(0, count)])
          decoder.release(row)
        }
        running = running.filter(({ ids }) => ids.length < count)
      }
      expect(decoder.peakBytes).toBeLessThanOrEqual(admitted)
      expect(done.toSorted(([a], [b]) => a - b)).toEqual(
        order.toSorted((a, b) => a - b).map((seed) => [seed, expected[seed]]),
      )
    }
  })
})

/** The first of two graphs: without a past. */
function withoutPast(session: Session): Session {
  const inputs = new Map(
    [...session.inputs].filter(([name]) => !name.startsWith('past_') && name !== 'use_cache_branch'),
  )
  const added = [...session.inputs].filter(([name]) => !inputs.has(name))
  const empty = added.map(([name, { type, dims }]) => [
    name,
    name === 'use_cache_branch' ? toFeed(type, [0], [1]) : toFeed(type, [], [1, dims[1] ?? 0, 0, dims[3] ?? 0]),
  ])
  return {
    ...session,
    inputs,
    runInto: async (feeds, outputs) => {
      if (session.runInto === undefined) throw new Error('it can not be run')
      return session.runInto({ ...feeds, ...Object.fromEntries(empty) }, outputs)
    },
  }
}

describe('a decoder', () => {
  it('in two graphs gives what it gives in one, its prompts whole', async () => {
    const tiny = await openTinyDecoder({ kind: 'crossed' })
    const decoder = openRaggedDecoder(
      new Map([
        ['decoder_model', withoutPast(tiny.session)],
        ['decoder_with_past_model', tiny.session],
      ]),
    )
    for (const seed of [1, 3]) {
      const going = await fill(decoder, tiny, seed, 2)
      while (going.ids.length < count) await step(decoder, [going])
      expect(going.ids).toEqual(await greedyWithoutCache(tiny, tinyPrompt(tiny, lengths[seed] ?? 1, seed), count))
    }
    await tiny.close()
  })

  it('refuses to let a row outgrow the tokens that it was counted with', async () => {
    const tiny = await openTinyDecoder({ kind: 'grouped' })
    const decoder = openRaggedDecoder(tiny.sessions)
    const prompt = tinyPrompt(tiny, 4, 1)
    const row = decoder.begin(prompt, 4)
    await decoder.prefill(row, 9)
    await expect(decoder.decode([{ row, id: 1 }], embedTiny([1]))).rejects.toThrow('outgrows the 4 tokens')
    expect(() => decoder.begin(prompt, 3)).toThrow('a prompt of 4 tokens')
    await tiny.close()
  })

  it('whose graph computes a row from the others runs each by itself', async () => {
    const tiny = await openTinyDecoder({ kind: 'plain' })
    const rows: (number | undefined)[] = []
    const apart: Session = {
      ...tiny.session,
      rowsApart: true,
      runInto: async (feeds, outputs) => {
        rows.push(feeds['inputs_embeds']?.dims[0])
        return tiny.session.runInto?.(feeds, outputs) ?? {}
      },
    }
    const decoder = openRaggedDecoder(new Map([['decoder_model_merged', apart]]))
    const going = [await fill(decoder, tiny, 1, 4), await fill(decoder, tiny, 2, 4)]
    while ((going[0]?.ids.length ?? count) < count) await step(decoder, going)
    for (const [at, { ids }] of going.entries()) {
      expect(ids).toEqual(await greedyWithoutCache(tiny, tinyPrompt(tiny, lengths[at + 1] ?? 1, at + 1), count))
    }
    expect(new Set(rows)).toEqual(new Set([1]))
    await tiny.close()
  })

  it.each([
    [{ pixel_mask: { type: 'int64', dims: [null] } }, 'pixel_mask'],
    [{ 'past_key_values.0.key': { type: 'float32', dims: [null, null, null, 4] } }, 'fixed numbers of heads'],
    [{ 'past_key_values.7.key': { type: 'float32', dims: [null, 2, null, 4] } }, 'does not give present.7.key'],
    [{ 'past_key_values.0.key': { type: 'int32', dims: [null, 2, null, 4] } }, 'instead of float32 or float16'],
    [{ inputs_embeds: { type: 'float32', dims: [2, null, 32] } }, 'exactly 2 rows'],
    [{ input_ids: { type: 'int64', dims: [null, null] } }, 'both inputs_embeds and input_ids'],
  ])('whose graph can not be fed is refused by the name of what is wrong: %j', async (extra, reason) => {
    const tiny = await openTinyDecoder({ kind: 'plain' })
    const inputs = new Map<string, TensorShape>([...tiny.session.inputs, ...Object.entries(extra)])
    expect(() => openRaggedDecoder(new Map([['decoder_model_merged', { ...tiny.session, inputs }]]))).toThrow(reason)
    await tiny.close()
  })
})
