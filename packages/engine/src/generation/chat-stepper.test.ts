import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import type { AttentionDecoderOptions } from '../../test/attention-decoders.ts'
import { runChats, tinyChat, type ChatRun, type TinyChat } from '../../test/tiny-chats.ts'
import { openTinyDecoder, type TinyDecoder } from '../../test/tiny-decoders.ts'
import { openRaggedDecoder } from './ragged-decoder.ts'

const kinds: Record<string, AttentionDecoderOptions> = {
  'masked, padded on the left': { kind: 'plain' },
  'masked, three axes, last logits alone': { kind: 'plain', axes: 3, keepsLogits: true },
  'GroupQueryAttention with half floats, padded on the right': { kind: 'grouped', type: 'float16' },
  'without a mask, with an encoder': { kind: 'crossed' },
}

describe.each(Object.entries(kinds))('chats with a decoder %s', (_, options) => {
  let tiny: TinyDecoder
  let alone: Map<string, unknown>
  const chats = (): TinyChat[] => [
    tinyChat({ name: 'greedy', length: 9, newTokens: 14 }),
    tinyChat({ name: 'short', length: 1, newTokens: 3 }),
    tinyChat({ name: 'image', length: 20, newTokens: 9, pieces: 5 }),
    tinyChat({ name: 'hot', length: 6, newTokens: 20, sampling: { temperature: 1.3, seed: 11 } }),
    tinyChat({ name: 'other seed', length: 6, newTokens: 20, sampling: { temperature: 1.3, seed: 12 } }),
    tinyChat({
      name: 'narrow',
      length: 33,
      newTokens: 11,
      sampling: { temperature: 2, topP: 0.8, topK: 9, minP: 0.01 },
    }),
    tinyChat({ name: 'penalised', length: 5, newTokens: 15, rules: { presencePenalty: 0.5, repetitionPenalty: 1.4 } }),
    // Its keys and values outgrow their memory on the way.
    tinyChat({ name: 'growing', length: 122, newTokens: 14 }),
    tinyChat({ name: 'logprobs', length: 4, newTokens: 4, sampling: { logprobs: 2 } }),
  ]
  beforeAll(async () => {
    tiny = await openTinyDecoder(options)
    alone = new Map()
    for (const chat of chats()) {
      const { outcomes } = await runChats(tiny, [chat], {})
      alone.set(chat.name, outcomes.get(chat.name))
    }
  })
  afterAll(async () => tiny.close())

  it('answers, and with another seed otherwise', () => {
    for (const outcome of alone.values()) expect(outcome).toMatchObject({ ids: expect.any(Array) })
    expect(alone.get('hot')).not.toEqual(alone.get('other seed'))
  })

  it.each([
    { maxRows: 8, prefillTokens: 4, piecesAtOnce: 2 },
    { maxRows: 3, prefillTokens: 100, piecesAtOnce: 9 },
    { maxRows: 5, prefillTokens: 1, piecesAtOnce: 1 },
  ])('answer alike in any batch, joined in any order, by prompts in any pieces: %j', async (limits) => {
    const [first, second] = [chats(), chats().toReversed()]
    const together: ChatRun[] = [
      await runChats(tiny, first, limits),
      await runChats(tiny, second, { ...limits, apart: 2 }),
    ]
    for (const { outcomes } of together) expect(outcomes).toEqual(new Map(outcomes.size === 0 ? [] : alone))
  })
})

describe('turns', () => {
  let tiny: TinyDecoder
  beforeAll(async () => {
    tiny = await openTinyDecoder({ kind: 'plain' })
  })
  afterAll(async () => tiny.close())

  it('those who read wait for one piece at most, of a long prompt as of an image of many tiles', async () => {
    const { log } = await runChats(
      tiny,
      [
        tinyChat({ name: 'reader', length: 2, newTokens: 60 }),
        tinyChat({ name: 'long', length: 90, newTokens: 2 }),
        tinyChat({ name: 'tiles', length: 30, newTokens: 2, pieces: 13 }),
      ],
      { prefillTokens: 4, piecesAtOnce: 2 },
    )
    const text = log.map(({ kind }) => kind[0]).join('')
    const whileRead = text.slice(text.indexOf('d'), text.lastIndexOf('d'))
    expect(whileRead).toMatch(/^(d[ep]?)+$/)
    expect(whileRead.match(/[ep]/g)?.length).toBeGreaterThan(30)
    expect(log.filter(({ kind }) => kind === 'prefill').every(({ size }) => size <= 4)).toBe(true)
    expect(log.filter(({ kind }) => kind === 'encode').every(({ size }) => size <= 2)).toBe(true)
  })

  it('a short prompt does not wait for the whole of a long one', async () => {
    const { ended } = await runChats(
      tiny,
      [tinyChat({ name: 'long', length: 120, newTokens: 2 }), tinyChat({ name: 'short', length: 6, newTokens: 2 })],
      { prefillTokens: 4 },
    )
    expect(ended).toEqual(['short', 'long'])
  })

  it('an image of one tile does not wait for all of another, and one that two ask about is encoded once', async () => {
    const many = tinyChat({ name: 'many', length: 3, newTokens: 1, pieces: 12 })
    const same = { ...many, name: 'same', item: { ...many.item } }
    const { log, ended } = await runChats(
      tiny,
      [many, same, tinyChat({ name: 'one', length: 3, newTokens: 1, pieces: 1 })],
      {
        piecesAtOnce: 3,
      },
    )
    expect(ended[0]).toBe('one')
    expect(log.filter(({ kind }) => kind === 'encode').reduce((sum, { size }) => sum + size, 0)).toBe(13)
  })
})

describe.each([{ kind: 'plain' } as const, { kind: 'grouped' } as const])('memory, $kind', (options) => {
  let tiny: TinyDecoder
  beforeAll(async () => {
    tiny = await openTinyDecoder(options)
  })
  afterAll(async () => tiny.close())

  it('never exceeds its bytes; who does not fit now waits in order, and who never fits is told so', async () => {
    const sizes = [60, 10, 420, 90, 20, 100, 30, 80, 10]
    const chats = sizes.map((length, at) => tinyChat({ name: `chat ${at}`, length, newTokens: 5 + at, pieces: at % 3 }))
    const { bytesOf } = openRaggedDecoder(tiny.sessions)
    const maxBytes = bytesOf([100, 100, 100].map((maxTokens) => ({ maxTokens, maxCrossTokens: 0 })))
    const { outcomes, launched, peakBytes, most } = await runChats(tiny, chats, { maxBytes, prefillTokens: 16 })
    expect(peakBytes).toBeLessThanOrEqual(maxBytes)
    expect(most).toBe(3)
    expect(outcomes.get('chat 2')).toMatchObject({ code: 'invalid_input', detail: expect.stringMatching(/\d MiB/) })
    expect(launched).toEqual(chats.map(({ name }) => name).filter((name) => name !== 'chat 2'))
    expect([...outcomes.values()].filter((one) => typeof one === 'object' && 'ids' in one)).toHaveLength(
      chats.length - 1,
    )
  })

  it('is given back by those who are canceled or fail', async () => {
    const { bytesOf } = openRaggedDecoder(tiny.sessions)
    const maxBytes = bytesOf([40, 40].map((maxTokens) => ({ maxTokens, maxCrossTokens: 0 })))
    const chats = Array.from({ length: 12 }, (_, at) =>
      tinyChat({
        name: `chat ${at}`,
        length: 20,
        newTokens: 9,
        ...(at % 4 === 1 ? { canceledAfter: 3 } : {}),
        ...(at % 4 === 2 ? { broken: 'numbers' } : {}),
      }),
    )
    const { outcomes, peakBytes } = await runChats(tiny, chats, { maxBytes })
    expect(peakBytes).toBeLessThanOrEqual(maxBytes)
    expect([...outcomes.values()].filter((one) => one === 'canceled')).toHaveLength(3)
    const { outcomes: alone } = await runChats(tiny, [tinyChat({ name: 'chat 11', length: 20, newTokens: 9 })], {})
    expect(outcomes.get('chat 11')).toEqual(alone.get('chat 11'))
  })

  it.each(['numbers', 'prompt', 'piece'] as const)('a chat whose %s is broken fails alone', async (broken) => {
    const others = [0, 1, 2].map((at) => ({ name: `chat ${at}`, length: 3 + at * 5, newTokens: 12, pieces: 2 }))
    const chats = others.map((one) => tinyChat(one))
    chats.splice(1, 0, tinyChat({ name: 'bad', length: 7, newTokens: 12, pieces: 2, broken }))
    const { outcomes } = await runChats(tiny, chats, { piecesAtOnce: 8 })
    expect(outcomes.get('bad')).toMatchObject({ code: 'inference_failed' })
    for (const one of others) {
      const { outcomes: alone } = await runChats(tiny, [tinyChat(one)], {})
      expect(outcomes.get(one.name)).toEqual(alone.get(one.name))
    }
  })
})

describe('an end', () => {
  let tiny: TinyDecoder
  beforeAll(async () => {
    tiny = await openTinyDecoder({ kind: 'grouped' })
  })
  afterAll(async () => tiny.close())

  it('is by length, by an end token or before a stop string, across tokens, and says which', async () => {
    const plain = { length: 12, newTokens: 8, rules: { presencePenalty: 9 } }
    const { outcomes } = await runChats(tiny, [tinyChat({ name: 'whole', ...plain })], {})
    const whole = outcomes.get('whole')
    expect(whole).toMatchObject({ finishReason: 'length' })
    if (typeof whole !== 'object' || !('ids' in whole)) throw new Error('there is no answer')
    const [, second = 0, third = 0, fourth = 0] = whole.ids
    const end = tinyChat({ name: 'end', ...plain, rules: { ...plain.rules, endIds: [fourth] } })
    const stop = tinyChat({ name: 'stop', ...plain, stop: [`${second} ${third}`] })
    const { outcomes: others } = await runChats(tiny, [end, stop], {})
    expect(others.get('end')).toMatchObject({ finishReason: 'stop', ids: whole.ids.slice(0, 4) })
    expect(others.get('stop')).toMatchObject({ finishReason: 'stop', text: `${whole.ids[0]} ` })
  })

  it('streams pieces that together are the text', async () => {
    const { outcomes, texts } = await runChats(
      tiny,
      [
        tinyChat({ name: 'a', length: 5, newTokens: 9, stream: true }),
        tinyChat({ name: 'b', length: 2, newTokens: 9 }),
      ],
      {},
    )
    expect(outcomes.get('a')).toMatchObject({ text: texts.get('a') })
    expect(texts.has('b')).toBe(false)
  })
})
