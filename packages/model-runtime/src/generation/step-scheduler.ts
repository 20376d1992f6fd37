/** A sequence as the scheduler sees it. */
export interface Schedulable {
  /** Sequences of equal keys can share a step. */
  readonly stepKey: string
  /** Ids the decoder has seen of it. */
  readonly pastLength: number
  /** Turns since it last moved. */
  turnsWaited: number
}

/** How many steps of others a sequence lets pass before its turn comes in any case. */
const patience = 4

/**
 * Which sequences the next step moves. A graph without a mask for the past can run only sequences of
 * equal length together, so the shortest go first: they catch up with the longer ones and join them,
 * after which one step serves all. No one is left behind for long: whoever has let `patience` steps
 * pass has the next one, with all of its length. Counts the turns of those that it leaves out.
 */
export function chooseStep<S extends Schedulable>(sequences: readonly S[]): S[] {
  const [first, ...others] = sequences
  if (first === undefined) return []
  const leader = others.reduce((best, candidate) => (goesBefore(candidate, best) ? candidate : best), first)
  const chosen = sequences.filter(({ stepKey }) => stepKey === leader.stepKey)
  for (const sequence of sequences)
    sequence.turnsWaited = sequence.stepKey === leader.stepKey ? 0 : sequence.turnsWaited + 1
  return chosen
}

function goesBefore(a: Schedulable, b: Schedulable): boolean {
  const [aIsLate, bIsLate] = [a.turnsWaited >= patience, b.turnsWaited >= patience]
  if (aIsLate !== bIsLate) return aIsLate
  if (aIsLate && a.turnsWaited !== b.turnsWaited) return a.turnsWaited > b.turnsWaited
  return a.pastLength < b.pastLength
}
