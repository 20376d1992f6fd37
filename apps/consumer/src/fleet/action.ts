import type { ModelManifest, VariantDecision } from '@vision-queue/protocol'

import type { Failure, LoadTarget } from './actual.ts'

interface OfModel {
  model: string
}
interface OfVersion extends OfModel {
  version: string
}
interface OfPool extends OfVersion {
  pool: number
}

/** One step from what is there to what is wanted. */
export type Action =
  /** Says what is wrong with the repository; said once, until `end-report`. */
  | { kind: 'report'; problem: string }
  | { kind: 'end-report'; problem: string }
  /** Begins with a model. `waitedFor`: versions that pinned jobs wait for from before. */
  | (OfModel & { kind: 'add-model'; waitedFor: string[] })
  /** Announces these versions by alias. */
  | (OfModel & { kind: 'point-aliases'; aliases: Map<string, string> })
  | (OfVersion & { kind: 'see-folder' })
  | (OfVersion & { kind: 'miss-folder' })
  /** Takes a version that left the repository out of what all processes know, unless jobs wait for it. */
  | (OfVersion & { kind: 'forget' })
  /** Starts to load. `following`: in the variant that the fleet runs, not in this machine's choice. */
  | (OfVersion & { kind: 'open-pool'; target: LoadTarget; following: VariantDecision | null })
  /** The loaded pool runs the version's jobs from now on. */
  | (OfPool & { kind: 'take-over'; manifest: ModelManifest })
  /** The pool takes no more jobs, and is closed after its last one. */
  | (OfPool & { kind: 'retire-pool' })
  /** Stops the engines; jobs that they still have go back to the queue. */
  | (OfPool & { kind: 'close-pool' })
  /** Announces why the version can't be loaded. */
  | (OfVersion & { kind: 'fail'; failure: Failure })
  | (OfVersion & { kind: 'clear-failure' })
  /** Announces when the fleet decided on the variant that runs. */
  | (OfVersion & { kind: 'date-decision'; manifest: ModelManifest })
  /** The version stays only for jobs that are pinned to it. */
  | (OfVersion & { kind: 'keep-for-pinned' })
  | (OfVersion & { kind: 'end-keeping' })
  /** Nothing is left of the version. */
  | (OfVersion & { kind: 'remove-version' })
  /** `pinnedTo`: the queue of jobs that are pinned to this version; null: of all other jobs. */
  | (OfModel & { kind: 'take-jobs'; pinnedTo: string | null })
  | (OfModel & { kind: 'stop-taking'; pinnedTo: string | null })
