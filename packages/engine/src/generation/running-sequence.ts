import type { TaskOutput } from '../task-output.ts'
import type { BlockRows, RowBlock } from './row-block.ts'
import type { Search } from './search.ts'
import type { Schedulable } from './step-scheduler.ts'
import { createTextStream, cutAtStop, type TextPiece } from './text-stream.ts'

/** What one step gave a sequence. */
export interface StepResult {
  /** What can be told of the answer and was not told before. */
  piece: TextPiece | null
  /** The answer, with which the sequence ends. */
  output: TaskOutput | null
}

/** A sequence that is being generated. */
export interface RunningSequence extends Schedulable {
  /** The ids to feed to each of its rows next. */
  readonly pendingIds: readonly (readonly number[])[]
  readonly own: BlockRows | null
  readonly cross: BlockRows
  /** Takes the logits of its rows, and the rows as the decoder left them; `from` is the first of them. */
  advance: (logits: readonly Float32Array[], state: { own: RowBlock; cross: RowBlock; from: number }) => StepResult
}

export interface SequenceOptions {
  /** Start token and prompt. */
  begin: readonly number[]
  search: Search
  /** The encoder's states of its image, one row. */
  cross: RowBlock
  /** Generated ids to the answer's text. */
  toText: (generated: readonly number[]) => string
  /** Generation ends where one of these comes up in the text, which is cut before it. */
  stop: readonly string[]
  /** Whether anybody wants the text before it is whole. */
  stream: boolean
}

export function beginSequence(options: SequenceOptions): RunningSequence {
  const { begin, search, toText, stop } = options
  const stream = createTextStream(stop)
  let pastLength = 0

  const answer = (text: string, tokens: number): StepResult => ({
    piece: options.stream ? stream.finish(text) : null,
    output: { text, tokens },
  })

  const sequence: { -readonly [Field in keyof RunningSequence]: RunningSequence[Field] } = {
    stepKey: `0+${begin.length}`,
    turnsWaited: 0,
    pendingIds: [begin],
    own: null,
    cross: { block: options.cross, rows: [0] },
    advance(logits, { own, cross, from }) {
      const move = search.advance(logits)
      if (move.kind === 'finished') {
        const text = toText(move.ids)
        return answer(cutAtStop(text, stop) ?? text, move.ids.length)
      }
      const { parents, tokens } = move
      sequence.own = { block: own, rows: parents.map((parent) => from + parent) }
      // Rows of one sequence are about one image: which of them stays does not matter, only how many.
      const places = parents.length === logits.length ? parents.map((_, index) => index) : parents
      sequence.cross = { block: cross, rows: places.map((place) => from + place) }
      pastLength += sequence.pendingIds[0]?.length ?? 0
      sequence.pendingIds = tokens.map((token) => [token])
      sequence.stepKey = `${pastLength}+1`
      if (!options.stream && stop.length === 0) return { piece: null, output: null }
      const text = toText(search.settledIds)
      const cut = cutAtStop(text, stop)
      if (cut !== null) return answer(cut, search.settledIds.length)
      return { piece: options.stream ? stream.push(text) : null, output: null }
    },
  }
  return sequence
}
