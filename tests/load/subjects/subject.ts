import type { ProcessTable } from '../processes.ts'
import type { Part, Tally } from '../windows/window.ts'

/** Something that can be put under load for a while and left alone again, so that others can have their turn. */
export interface Subject {
  name: string
  /** Whether half a window says enough, because a job takes so little that there are thousands in it. */
  brief?: boolean
  /**
   * Jobs after which a load has settled: until every client has had an answer, more is being begun than ended, and
   * jobs would seem to cost more than they do. Default: none.
   */
  settleJobs?: number
  /** Its processes now, by the part of the work that they do: engines come and go. */
  parts(table: ProcessTable): Part[]
  /** Puts it under load. Resolves once that flows. */
  go(): Promise<void>
  /** What was done since the last call. */
  tally(): Promise<Tally>
  /** Takes the load off. Resolves once nothing is under way. */
  pause(): Promise<void>
  /** Ends what belongs to the subject alone. */
  stop(): Promise<void>
}
