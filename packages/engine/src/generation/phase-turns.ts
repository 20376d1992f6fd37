import { createStepScheduler, type Schedulable } from './step-scheduler.ts'

export type Phase = 'encode' | 'prefill' | 'decode'

export interface PhaseTurnsOptions<Sequence> {
  phaseOf: (sequence: Sequence) => Phase
  /** Those of them whose pieces the next encoding takes. */
  takePieces: (sequences: readonly Sequence[]) => { of: readonly Sequence[] }
  /** Sequences of equal keys can share a step of decoding. */
  keyOf: (sequence: Sequence) => string
}

/**
 * Whose turn it is. Decoding has every second step, as long as anything is decoded; encoding and prompts share the
 * others by turns. Of prompts, the one moves that has waited longest.
 */
export function createPhaseTurns<Sequence extends Schedulable & { stepKey: string }>({
  phaseOf,
  takePieces,
  keyOf,
}: PhaseTurnsOptions<Sequence>): (sequences: readonly Sequence[]) => readonly Sequence[] {
  const chooseDecoding = createStepScheduler<Sequence>()
  let last: Phase = 'prefill'
  let lastWork: Phase = 'prefill'
  // Decoding has a count of its own, which its scheduler keeps in `turnsWaited`.
  const promptTurns = new WeakMap<Sequence, number>()
  let turn = 0

  const choosePrompt = (sequences: readonly Sequence[]): Sequence[] => {
    let longest = sequences[0]
    for (const sequence of sequences) {
      if (longest !== undefined && (promptTurns.get(sequence) ?? 0) < (promptTurns.get(longest) ?? 0))
        longest = sequence
    }
    if (longest === undefined) return []
    turn += 1
    promptTurns.set(longest, turn)
    return [longest]
  }

  return (sequences) => {
    const of: Record<Phase, Sequence[]> = { encode: [], prefill: [], decode: [] }
    for (const sequence of sequences) of[phaseOf(sequence)].push(sequence)
    const phase = nextPhase(of, last, lastWork)
    last = phase
    if (phase !== 'decode') lastWork = phase
    switch (phase) {
      case 'encode':
        return takePieces(of.encode).of
      case 'prefill':
        return choosePrompt(of.prefill)
      case 'decode':
        for (const sequence of of.decode) sequence.stepKey = keyOf(sequence)
        return chooseDecoding(of.decode)
      default:
        return phase satisfies never
    }
  }
}

function nextPhase(of: Record<Phase, readonly unknown[]>, last: Phase, lastWork: Phase): Phase {
  const isWaiting = of.encode.length > 0 || of.prefill.length > 0
  if (of.decode.length > 0 && (last !== 'decode' || !isWaiting)) return 'decode'
  if (of.encode.length > 0 && of.prefill.length > 0) return lastWork === 'encode' ? 'prefill' : 'encode'
  return of.encode.length > 0 ? 'encode' : 'prefill'
}

/**
 * The pieces of one encoding, one of each sequence in turn, the oldest first, so that an image of one piece need not
 * wait for one of many. A piece that several have is taken once.
 */
export function nextPieces<Piece, Sequence extends { item: { pieces: readonly Piece[] } }>(
  sequences: readonly Sequence[],
  isEncoded: (piece: Piece) => boolean,
  atOnce: number,
): { pieces: Piece[]; of: Sequence[] } {
  const left = sequences.map(({ item }) => item.pieces.filter((piece) => !isEncoded(piece)))
  const longest = Math.max(0, ...left.map((pieces) => pieces.length))
  const taken = new Set<Piece>()
  for (let round = 0; round < longest && taken.size < atOnce; round += 1) {
    for (const pieces of left) {
      const piece = pieces[round]
      if (piece !== undefined && taken.size < atOnce) taken.add(piece)
    }
  }
  const of = sequences.filter((_, at) => left[at]?.some((piece) => taken.has(piece)) === true)
  return { pieces: [...taken], of }
}
