/** A sequence as the scheduler sees it. */
export interface Schedulable {
  /** Sequences of equal keys can share a step. */
  readonly stepKey: string
  /** Steps of others since it last moved. */
  turnsWaited: number
}

/** Chooses the sequences of each next step; keeps in mind whose turn it is. */
export type StepScheduler<S extends Schedulable> = (sequences: readonly S[]) => readonly S[]

/**
 * A graph without a mask for the past can run only sequences of equal length together, so they form
 * groups, and the groups take turns of `quantum` steps, whoever has waited longest first. While one
 * has its turn, newcomers gather and then start together: long turns make large groups, short ones
 * keep a short text from waiting for a long one. Groups that meet at one length go on as one.
 */
export function createStepScheduler<S extends Schedulable>({
  quantum = 16,
}: { quantum?: number } = {}): StepScheduler<S> {
  let group = new Set<S>()
  let left = 0

  return (sequences) => {
    const current = left > 0 ? sequences.find((sequence) => group.has(sequence)) : undefined
    const leader = current ?? longestWaiting(sequences)
    if (leader === undefined) return []
    left = current === undefined ? quantum - 1 : left - 1
    const chosen = sequences.filter(({ stepKey }) => stepKey === leader.stepKey)
    group = new Set(chosen)
    for (const sequence of sequences) sequence.turnsWaited = group.has(sequence) ? 0 : sequence.turnsWaited + 1
    return chosen
  }
}

function longestWaiting<S extends Schedulable>(sequences: readonly S[]): S | undefined {
  let longest = sequences[0]
  for (const sequence of sequences) {
    if (longest !== undefined && sequence.turnsWaited > longest.turnsWaited) longest = sequence
  }
  return longest
}
