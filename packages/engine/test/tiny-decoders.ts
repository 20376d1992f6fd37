import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { readGraphFacts } from '@vision-queue/models'

import type { GenerationPrompt } from '../src/generation/generation-prompt.ts'
import { toBlock } from '../src/generation/row-block.ts'
import { openSession, type Session } from '../src/onnx/session.ts'
import { toFeed, type Feed } from '../src/onnx/tensor.ts'
import { attentionDecoder, embeddingOf, type AttentionDecoderOptions } from './attention-decoders.ts'
import { decoderVocabulary, decoderWidth } from './attention-parts.ts'

export interface TinyDecoder {
  session: Session
  sessions: ReadonlyMap<string, Session>
  options: AttentionDecoderOptions
  close: () => Promise<void>
}

export async function openTinyDecoder(options: AttentionDecoderOptions): Promise<TinyDecoder> {
  const folder = await mkdtemp(join(tmpdir(), 'decoder-'))
  try {
    await mkdir(join(folder, 'onnx'))
    const path = join(folder, 'onnx/decoder_model_merged.onnx')
    await writeFile(path, attentionDecoder(options))
    const facts = await readGraphFacts(path)
    const session = await openSession(path, { intraOpThreads: 1 })
    const known: Session = facts === null ? session : { ...session, operators: facts.operators }
    return { session: known, sessions: new Map([['decoder_model_merged', known]]), options, close: session.close }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** A made-up prompt; equal seeds make equal ones. */
export function tinyPrompt({ options }: TinyDecoder, length: number, seed: number): GenerationPrompt {
  const ids = Array.from({ length }, (_, at) => (seed * 7 + at * at * 3 + at * 5) % decoderVocabulary)
  const places = Int32Array.from(ids, (_, at) => at)
  const axes = options.axes ?? 1
  // With three axes an image's tokens lie in rows and columns, and text goes on after the highest.
  const rows = axes === 3 ? places.map((at) => Math.floor(at / 2)) : places
  const crossLength = 3 + (seed % 4)
  const states = Float32Array.from({ length: crossLength * decoderWidth }, (_, at) => Math.sin(seed + at * 0.37))
  return {
    ids,
    embeds: options.embeds === false ? null : embedTiny(ids),
    positions: axes === 3 ? [places, rows, rows] : [places],
    nextPosition: length,
    cross:
      options.kind === 'crossed'
        ? toBlock(1, [['encoder_hidden_states', { data: states, dims: [1, crossLength, decoderWidth] }]])
        : null,
  }
}

export function embedTiny(ids: readonly number[]): Float32Array {
  return Float32Array.from(ids.flatMap((id) => embeddingOf(id)))
}

/** The likeliest token that did not come yet: made-up weights would say one token for ever, which proves little. */
export function likeliestNew(logits: Float32Array, before: readonly number[]): number {
  const scores = logits.map((score, token) => (before.includes(token) ? -Infinity : score))
  return scores.indexOf(Math.max(...scores))
}

/** The likeliest next tokens by running the graph on all tokens each time, one sequence, no cache: another way to the same numbers. */
export async function greedyWithoutCache(
  { session }: Pick<TinyDecoder, 'session'>,
  prompt: GenerationPrompt,
  count: number,
  choose = likeliestNew,
): Promise<number[]> {
  const ids = [...prompt.ids]
  const generated: number[] = []
  while (generated.length < count) {
    const feeds = Object.fromEntries(
      [...session.inputs].map(([name, { type, dims }]) => [name, feedAll(name, { type, dims }, prompt, ids)]),
    )
    const { logits } = await session.run(feeds, ['logits'])
    const last = logits?.data.subarray(-decoderVocabulary) ?? new Float32Array()
    const token = choose(last, generated)
    ids.push(token)
    generated.push(token)
  }
  return generated
}

function feedAll(
  name: string,
  { type, dims }: { type: string; dims: readonly (number | null)[] },
  prompt: GenerationPrompt,
  ids: readonly number[],
): Feed {
  const states = prompt.cross?.tensors.get('encoder_hidden_states')
  const ones = (count: number): number[] => Array.from({ length: count }, () => 1)
  switch (name) {
    case 'input_ids':
      return toFeed(type, ids, [1, ids.length])
    case 'inputs_embeds':
      return toFeed(type, Float32Array.from([...(prompt.embeds ?? []), ...embedTiny(ids.slice(prompt.ids.length))]), [
        1,
        ids.length,
        decoderWidth,
      ])
    case 'attention_mask':
      return toFeed(type, ones(ids.length), [1, ids.length])
    case 'position_ids': {
      const later = ids.slice(prompt.ids.length).map((_, at) => prompt.nextPosition + at)
      const axes = prompt.positions.map((axis) => [...axis, ...later])
      return toFeed(type, axes.flat(), axes.length === 1 ? [1, ids.length] : [axes.length, 1, ids.length])
    }
    case 'num_logits_to_keep':
      return toFeed(type, [1], [])
    case 'use_cache_branch':
      return toFeed(type, [0], [1])
    case 'encoder_hidden_states':
      return toFeed(type, states?.data ?? [], [...(states?.dims ?? [])])
    case 'encoder_attention_mask':
      return toFeed(type, ones(states?.dims[1] ?? 0), [1, states?.dims[1] ?? 0])
    default:
      return toFeed(type, [], [1, dims[1] ?? 0, 0, dims[3] ?? 0])
  }
}
