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
const lengths = [1, 9, 4, 17, 30, 9]
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
