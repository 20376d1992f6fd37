import { describeFields, VisionQueueError } from '@vision-queue/protocol'
import { LRUCache } from 'lru-cache'

import type { TokenConstraint } from '../token-constraint.ts'
import { createAutomaton, type Automaton, type State } from './automaton.ts'
import { either, literal, type Grammar } from './grammar.ts'
import { anyObject, documentGrammar } from './json-grammar.ts'
import { schemaGrammar } from './json-schema.ts'
import { createTokenTrie, type TokenTrie } from './token-trie.ts'

/** What a text has to be. */
export type AnswerFormat =
  /** One JSON object, of any content. */
  | { type: 'json_object' }
  /** JSON that this JSON Schema (Draft 2020-12, a part of it) takes. */
  | { type: 'json_schema'; schema: unknown }
  /** One of these texts. */
  | { type: 'choice'; choices: readonly string[] }

/** A model's vocabulary, prepared for constraints once. */
export interface AnswerConstraints {
  /**
   * Checks a format, and gives a maker of constraints, one for each sequence. Throws `invalid_input` that names the
   * keyword which is not supported or the text that the vocabulary can't write; `under` is the field's path, such as
   * `parameters.response_format`.
   */
  compile: (format: AnswerFormat, under: string) => () => TokenConstraint
}

export interface AnswerVocabulary {
  /** By id the bytes that a token adds to an answer, as it stands within it; null: none, or a special token. */
  tokens: readonly (Uint8Array | null)[]
  endIds: readonly number[]
}

/** Formats that are remembered with what was found out about them. */
const formats = 32
/** Bytes of all masks of all formats: a mask has a bit for each token. */
const maskBytes = 64 * 1024 ** 2
/** Of a vocabulary with gaps: states that are looked at to find out whether a text can be ended. */
const statesLookedAt = 2000

/**
 * Masks are found by state and kept: most states of a text come again, as all of a free string's characters do. To lay out
 * a large vocabulary takes a second; the event loop is free meanwhile.
 */
export async function openAnswerConstraints({ tokens, endIds }: AnswerVocabulary): Promise<AnswerConstraints> {
  const compiled = new LRUCache<string, () => TokenConstraint>({ max: formats })
  const masks = new LRUCache<State, Uint32Array>({ maxSize: maskBytes, sizeCalculation: (mask) => mask.byteLength + 1 })
  const trie = await createTokenTrie(tokens)
  const vocabulary = { trie, tokens, endIds }

  function make(format: AnswerFormat, under: string): () => TokenConstraint {
    const automaton = createAutomaton(toGrammar(format, under))
    const finder = trie.hasAllBytes ? null : createEndFinder(automaton, vocabulary)
    if (finder !== null && !finder(automaton.start)) {
      refuse(under, "a text that the model's vocabulary can write")
    }
    const maskOf = (state: State): Uint32Array => {
      const known = masks.get(state)
      if (known !== undefined) return known
      const mask = findMask({ automaton, state, finder }, vocabulary)
      masks.set(state, mask)
      return mask
    }
    return () => createConstraint({ automaton, maskOf, tokens })
  }

  return {
    compile(format, under) {
      const key = JSON.stringify(format)
      const known = compiled.get(key)
      if (known !== undefined) return known
      const made = make(format, under)
      compiled.set(key, made)
      return made
    },
  }
}

function toGrammar(format: AnswerFormat, under: string): Grammar {
  switch (format.type) {
    case 'json_object':
      return documentGrammar(anyObject)
    case 'json_schema':
      return documentGrammar(schemaGrammar(format.schema, `${under}.json_schema.schema`))
    case 'choice':
      if (format.choices.length === 0 || format.choices.includes('')) {
        refuse(`${under}.choices`, 'at least one text, and none that is empty')
      }
      return either(...format.choices.map((choice) => literal(choice)))
    default:
      return format satisfies never
  }
}

interface Vocabulary extends AnswerVocabulary {
  trie: TokenTrie
}

function findMask(
  { automaton, state, finder }: { automaton: Automaton; state: State; finder: ((state: State) => boolean) | null },
  { trie, tokens, endIds }: Vocabulary,
): Uint32Array {
  const mask = trie.allowed(automaton, state)
  if (finder !== null) {
    for (const token of tokensOf(mask)) {
      const after = stateAfter(automaton, state, tokens[token] ?? null)
      if (after === null || !finder(after)) mask[token >>> 5] = (mask[token >>> 5] ?? 0) & ~(1 << (token & 31))
    }
  }
  if (state.accepts) {
    for (const id of endIds) if (id >>> 5 < mask.length) mask[id >>> 5] = (mask[id >>> 5] ?? 0) | (1 << (id & 31))
  }
  return mask
}

/** Whether tokens lead from a state to an end. Where too many states would have to be looked at, it is taken for granted. */
function createEndFinder(automaton: Automaton, { trie, tokens }: Vocabulary): (state: State) => boolean {
  const known = new Map<State, boolean>()
  return (start) => {
    const answer = known.get(start)
    if (answer !== undefined) return answer
    const seen = new Set([start])
    let reaches = false
    for (const state of seen) {
      reaches = state.accepts || known.get(state) === true || seen.size > statesLookedAt
      if (reaches) break
      for (const token of tokensOf(trie.allowed(automaton, state))) {
        const after = stateAfter(automaton, state, tokens[token] ?? null)
        if (after !== null && known.get(after) !== false) seen.add(after)
      }
    }
    if (reaches) known.set(start, true)
    else for (const state of seen) known.set(state, false)
    return reaches
  }
}

function createConstraint({
  automaton,
  maskOf,
  tokens,
}: {
  automaton: Automaton
  maskOf: (state: State) => Uint32Array
  tokens: readonly (Uint8Array | null)[]
}): TokenConstraint {
  let state = automaton.start
  return {
    mask(scores) {
      const mask = maskOf(state)
      for (let token = 0; token < scores.length; token += 1) {
        if ((((mask[token >>> 5] ?? 0) >>> (token & 31)) & 1) === 0) scores[token] = -Infinity
      }
    },
    accept(token) {
      const after = stateAfter(automaton, state, tokens[token] ?? null)
      if (after === null) throw new Error(`token ${token} was not allowed here`)
      state = after
    },
    get complete() {
      return state.isFinal
    },
  }
}

function stateAfter(automaton: Automaton, from: State, bytes: Uint8Array | null): State | null {
  let state: State | null = bytes === null ? null : from
  for (const byte of bytes ?? []) {
    if (state === null) return null
    state = automaton.step(state, byte)
  }
  return state
}

function tokensOf(mask: Uint32Array): number[] {
  const found: number[] = []
  for (const [at, word] of mask.entries()) {
    for (let bit = 0; bit < 32; bit += 1) if (((word >>> bit) & 1) === 1) found.push(at * 32 + bit)
  }
  return found
}

function refuse(field: string, expected: string): never {
  const fields = [{ field, expected }]
  throw new VisionQueueError('invalid_input', describeFields(fields), { fields })
}
