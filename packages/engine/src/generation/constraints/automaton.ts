import type { Grammar } from './grammar.ts'

/** What was read so far, as far as it matters to what may follow. Equal states are the same object. */
export interface State {
  /** Whether the text may end here. */
  readonly accepts: boolean
  /** Whether nothing but an end may follow. */
  readonly isFinal: boolean
  readonly stacks: readonly Stack[]
  /** By byte the state after it, null where it may not follow; filled as it is asked for. */
  readonly next: (State | null | undefined)[]
}

export interface Automaton {
  start: State
  /** The state after one more byte; null where it may not follow. */
  step: (state: State, byte: number) => State | null
}

/** What is still to be read: a grammar, then the rest. Equal ones are the same object. */
interface Stack {
  id: number
  head: Grammar
  rest: Stack | null
}

/** States that are kept; more are made again when they are needed, as of a text of many nested lists. */
const maxStates = 20_000

/**
 * Reads a grammar byte by byte: a state is the set of all ways in which what was read can go on (Brzozowski's
 * derivatives, by stacks, so that a grammar may contain itself). States are found once and then looked up.
 */
export function createAutomaton(grammar: Grammar): Automaton {
  const states = new Map<string, State>()
  const stacks = new Map<Stack | null, Map<Grammar, Stack>>()
  const shorter = new Map<Grammar, Grammar>()
  let made = 0

  function push(head: Grammar, rest: Stack | null): Stack {
    const onRest = stacks.get(rest) ?? new Map<Grammar, Stack>()
    stacks.set(rest, onRest)
    const known = onRest.get(head)
    if (known !== undefined) return known
    made += 1
    const stack = { id: made, head, rest }
    onRest.set(head, stack)
    return stack
  }

  /** What is left of a repetition after one of it. */
  function less(of: Extract<Grammar, { kind: 'repeat' }>): Grammar {
    if (of.min === 0 && of.max === Infinity) return of
    const known = shorter.get(of)
    if (known !== undefined) return known
    const rest: Grammar = { ...of, min: Math.max(0, of.min - 1), max: of.max - 1 }
    shorter.set(of, rest)
    return rest
  }

  function toState(tops: readonly (Stack | null)[]): State {
    const leaves = new Set<Stack>()
    const seen = new Set<Stack>()
    let accepts = false
    const open = [...tops]
    while (open.length > 0) {
      const stack = open.pop() ?? null
      if (stack === null) accepts = true
      else if (stack.head.kind === 'bytes') leaves.add(stack)
      else if (!seen.has(stack)) {
        seen.add(stack)
        open.push(...unfold(stack.head, stack.rest))
      }
    }
    const sorted = [...leaves].toSorted((a, b) => a.id - b.id)
    const key = `${accepts ? '.' : ''}${sorted.map(({ id }) => id).join(' ')}`
    const known = states.get(key)
    if (known !== undefined) return known
    if (states.size >= maxStates) forget()
    const state = { accepts, isFinal: accepts && sorted.length === 0, stacks: sorted, next: [] }
    states.set(key, state)
    return state
  }

  function unfold(head: Exclude<Grammar, { kind: 'bytes' }>, rest: Stack | null): (Stack | null)[] {
    switch (head.kind) {
      case 'sequence':
        return [head.parts.reduceRight<Stack | null>((after, part) => push(part, after), rest)]
      case 'either':
        return head.options.map((option) => push(option, rest))
      case 'repeat':
        return [...(head.min === 0 ? [rest] : []), ...(head.max > 0 ? [push(head.of, push(less(head), rest))] : [])]
      case 'later':
        return [push(head.get(), rest)]
      default:
        return head satisfies never
    }
  }

  function forget(): void {
    for (const state of states.values()) state.next.length = 0
    states.clear()
  }

  return {
    start: toState([push(grammar, null)]),
    step(state, byte) {
      const known = state.next[byte]
      if (known !== undefined) return known
      const after = state.stacks.flatMap(({ head, rest }) =>
        head.kind === 'bytes' && head.has[byte] === 1 ? [rest] : [],
      )
      const next = after.length === 0 ? null : toState(after)
      state.next[byte] = next
      return next
    },
  }
}
