import { createPauses, type Pauses } from '../../pauses.ts'
import type { Automaton, State } from './automaton.ts'

/** The tokens of a vocabulary by their bytes, so that what they have in common is read once. */
export interface TokenTrie {
  /** One bit for each token, 1 where all of its bytes may follow; by 32 in a number, the lowest bit first. */
  allowed: (automaton: Automaton, state: State) => Uint32Array
  /** Whether every byte is a token of its own, so that whatever may be written can be. */
  readonly hasAllBytes: boolean
}

/**
 * `tokens`: by id its bytes; null: none. Nodes lie in the order of a walk, each with the place behind all that is below it:
 * what may not follow is skipped in one step. Of a large vocabulary they take a second, which is spent in pieces.
 */
export async function createTokenTrie(tokens: readonly (Uint8Array | null)[]): Promise<TokenTrie> {
  const nodes = await layOut(tokens)
  const words = Math.ceil(tokens.length / 32)
  const single = new Set(tokens.flatMap((bytes) => (bytes?.length === 1 ? [...bytes] : [])))
  return {
    hasAllBytes: single.size === 256,
    allowed(automaton, state) {
      const bits = new Uint32Array(words)
      const at: (State | null)[] = [state]
      let node = 0
      while (node < nodes.count) {
        const depth = nodes.depths[node] ?? 1
        const before = at[depth - 1] ?? null
        const next = before === null ? null : automaton.step(before, nodes.bytes[node] ?? 0)
        if (next === null) {
          node = nodes.ends[node] ?? nodes.count
          continue
        }
        at[depth] = next
        for (let token = nodes.tokens[node] ?? -1; token >= 0; token = nodes.sameBytes[token] ?? -1) {
          const word = token >>> 5
          bits[word] = ((bits[word] ?? 0) | (1 << (token & 31))) >>> 0
        }
        node += 1
      }
      return bits
    },
  }
}

interface Nodes {
  count: number
  bytes: Uint8Array
  depths: Uint16Array
  /** The place behind the last node below it. */
  ends: Int32Array
  /** The first token that ends there, -1: none. */
  tokens: Int32Array
  /** By token, the next one of the same bytes, -1: none. */
  sameBytes: Int32Array
}

interface Token {
  bytes: Uint8Array
  id: number
}

/** Groups of tokens of the same first two bytes, in the order of these: to sort each is short. */
async function groupsOf(tokens: readonly (Uint8Array | null)[], pauses: Pauses): Promise<Token[][]> {
  const groups = new Map<number, Token[]>()
  for (let id = 0; id < tokens.length; id += 1) {
    if (pauses.isDue()) await pauses.take()
    const bytes = tokens[id] ?? null
    const first = bytes?.[0]
    if (bytes === null || first === undefined) continue
    const key = first * 257 + (bytes[1] ?? -1) + 1
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [{ bytes, id }])
    else group.push({ bytes, id })
  }
  return [...groups].toSorted(([a], [b]) => a - b).map(([, group]) => group)
}

function* inOrder(groups: readonly Token[][]): Generator<Token> {
  for (const group of groups) yield* group.toSorted((a, b) => Buffer.compare(a.bytes, b.bytes) || a.id - b.id)
}

async function layOut(tokens: readonly (Uint8Array | null)[]): Promise<Nodes> {
  const pauses = createPauses()
  const most = tokens.reduce((sum, bytes) => sum + (bytes?.length ?? 0), 0)
  const nodes: Nodes = {
    count: 0,
    bytes: new Uint8Array(most),
    depths: new Uint16Array(most),
    ends: new Int32Array(most),
    tokens: new Int32Array(most).fill(-1),
    sameBytes: new Int32Array(tokens.length).fill(-1),
  }
  /** The nodes that lead to the last token. */
  const path: number[] = []
  let previous: Token = { bytes: new Uint8Array(), id: -1 }
  const close = (depth: number): void => {
    while (path.length > depth) nodes.ends[path.pop() ?? 0] = nodes.count
  }
  for (const token of inOrder(await groupsOf(tokens, pauses))) {
    if (pauses.isDue()) await pauses.take()
    const common = sharedStart(previous.bytes, token.bytes)
    if (common === token.bytes.length && common === previous.bytes.length) {
      nodes.sameBytes[previous.id] = token.id
    } else {
      close(common)
      for (let at = common; at < token.bytes.length; at += 1) {
        nodes.bytes[nodes.count] = token.bytes[at] ?? 0
        nodes.depths[nodes.count] = at + 1
        path.push(nodes.count)
        nodes.count += 1
      }
      nodes.tokens[nodes.count - 1] = token.id
    }
    previous = token
  }
  close(0)
  return nodes
}

function sharedStart(a: Uint8Array, b: Uint8Array): number {
  let at = 0
  while (at < a.length && at < b.length && a[at] === b[at]) at += 1
  return at
}
