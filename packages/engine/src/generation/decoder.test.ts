import { describe, expect, it } from 'vitest'

import type { Feed, OutputTensor, TensorShape } from '../onnx/tensor.ts'
import type { Session } from '../onnx/session.ts'
import { hiddenStates, openDecoder } from './decoder.ts'
import { toBlock } from './row-block.ts'

const float = (...dims: (number | null)[]): TensorShape => ({ type: 'float32', dims })
const ids = (...dims: (number | null)[]): TensorShape => ({ type: 'int64', dims })
const sides = ['decoder.key', 'decoder.value', 'encoder.key', 'encoder.value']
const cache = (prefix: string, shape: TensorShape): [string, TensorShape][] =>
  sides.map((side) => [`${prefix}.0.${side}`, shape])

/** A merged decoder that notes what it is fed; logits say their place. */
function fakeSession(extra: Record<string, TensorShape> = {}): { session: Session; fed: Record<string, Feed>[] } {
  const fed: Record<string, Feed>[] = []
  const session: Session = {
    inputs: new Map([
      ['input_ids', ids(null, null)],
      [hiddenStates, float(null, null, 3)],
      ...cache('past_key_values', float(null, 2, null, 4)),
      ['use_cache_branch', { type: 'bool', dims: [1] }],
      ...Object.entries(extra),
    ]),
    outputs: new Map([['logits', float(null, null, 2)], ...cache('present', float(null, 2, null, 4))]),
    provider: 'cpu',
    refusals: [],
    async run(feeds) {
      fed.push(feeds)
      const [rows = 0, length = 0] = feeds['input_ids']?.dims ?? []
      const past = feeds['past_key_values.0.decoder.key']?.dims[2] ?? 0
      const tensor = (...dims: number[]): OutputTensor => ({
        data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, index) => index),
        dims,
      })
      const presents = sides.map((side) => {
        const made = side.startsWith('decoder')
          ? tensor(rows, 2, past + length, 4)
          : tensor(past === 0 ? rows : 0, 2, 5, 4)
        return [`present.0.${side}`, made]
      })
      return Object.fromEntries([['logits', tensor(rows, length, 2)], ...presents])
    },
    close: async () => {},
  }
  return { session, fed }
}

const hidden = (rows: number): ReturnType<typeof toBlock> =>
  toBlock(rows, [[hiddenStates, { data: new Float32Array(rows * 15), dims: [rows, 5, 3] }]])

describe('a decoder', () => {
  it('is fed in the types that its graph takes: half floats as they came out, int32, bool', async () => {
    const { session, fed } = fakeSession({
      input_ids: { type: 'int32', dims: [null, null] },
      attention_mask: { type: 'bool', dims: [null, null] },
      num_logits_to_keep: { type: 'int64', dims: [] },
      'past_key_values.0.decoder.key': { type: 'float16', dims: [null, 2, null, 4] },
    })
    const decoder = openDecoder(new Map([['decoder_model_merged', session]]))
    const { own, cross } = await decoder.step([[2, 7]], { own: null, cross: hidden(1) })
    await decoder.step([[3]], { own, cross })
    expect(fed[0]?.['past_key_values.0.decoder.key']).toEqual({
      type: 'float16',
      data: new Uint16Array(),
      dims: [1, 2, 0, 4],
    })
    expect(fed[1]).toMatchObject({
      input_ids: { type: 'int32', data: Int32Array.of(3) },
      attention_mask: { type: 'bool', data: Uint8Array.of(1, 1, 1) },
      num_logits_to_keep: { type: 'int64', data: BigInt64Array.of(1n), dims: [] },
      // 0, 1 and 2 as half floats.
      'past_key_values.0.decoder.key': { type: 'float16', dims: [1, 2, 2, 4] },
      'past_key_values.0.decoder.value': { type: 'float32' },
    })
    expect([...(fed[1]?.['past_key_values.0.decoder.key']?.data ?? [])].slice(0, 3)).toEqual([0, 0x3c00, 0x4000])
  })

  it('is fed an empty past first, then what it gave, and keeps what was made of the image', async () => {
    const { session, fed } = fakeSession()
    const decoder = openDecoder(new Map([['decoder_model_merged', session]]))
    const first = await decoder.step(
      [
        [2, 7, 8],
        [2, 9, 9],
      ],
      { own: null, cross: hidden(2) },
    )
    expect(first.logits.map((row) => [...row])).toEqual([
      [4, 5],
      [10, 11],
    ])
    expect(fed[0]).toMatchObject({
      use_cache_branch: { data: Uint8Array.of(0) },
      input_ids: { data: BigInt64Array.of(2n, 7n, 8n, 2n, 9n, 9n), dims: [2, 3] },
      'past_key_values.0.encoder.key': { dims: [2, 2, 0, 4] },
    })
    const second = await decoder.step([[4], [5]], first)
    expect(fed[1]).toMatchObject({
      use_cache_branch: { data: Uint8Array.of(1) },
      'past_key_values.0.decoder.value': { dims: [2, 2, 3, 4] },
      'past_key_values.0.encoder.key': { dims: [2, 2, 5, 4] },
      encoder_hidden_states: { dims: [2, 5, 3] },
    })
    // Fed back as it came, without a copy.
    expect(fed[1]?.['past_key_values.0.decoder.key']?.data).toBe(
      first.own.tensors.get('past_key_values.0.decoder.key')?.data,
    )
    expect(second.cross).toBe(first.cross)
    expect(second.own.tensors.get('past_key_values.0.decoder.key')?.dims).toEqual([2, 2, 4, 4])
  })

  it('is given masks that hide nothing and places that count on, where it asks for them', async () => {
    const { session, fed } = fakeSession({
      attention_mask: ids(null, null),
      encoder_attention_mask: ids(null, null),
      position_ids: ids(null, null),
      cache_position: ids(null),
    })
    const decoder = openDecoder(new Map([['decoder_model_merged', session]]))
    const first = await decoder.step(
      [
        [2, 7],
        [2, 9],
      ],
      { own: null, cross: hidden(2) },
    )
    await decoder.step([[4], [5]], first)
    expect(fed[1]).toMatchObject({
      attention_mask: { data: BigInt64Array.of(1n, 1n, 1n, 1n, 1n, 1n), dims: [2, 3] },
      encoder_attention_mask: { dims: [2, 5] },
      position_ids: { data: BigInt64Array.of(2n, 2n), dims: [2, 1] },
      cache_position: { data: BigInt64Array.of(2n), dims: [1] },
    })
  })

  it.each([
    [{ pixel_mask: ids(null) }, 'pixel_mask'],
    [{ 'past_key_values.0.decoder.key': float(null, null, null, 4) }, 'fixed numbers of heads'],
    [{ 'past_key_values.1.decoder.key': float(null, 2, null, 4) }, 'does not give present.1.decoder.key'],
  ])('whose graph can not be fed is refused by the name of what is wrong: %j', (extra, reason) => {
    const { session } = fakeSession(extra)
    expect(() => openDecoder(new Map([['decoder_model_merged', session]]))).toThrow(reason)
  })
})
