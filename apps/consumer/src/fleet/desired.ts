import type { ModelAliases } from '@vision-queue/protocol'
import type { StandingOrder } from '@vision-queue/queue/worker'

import type { LoadTarget } from './actual.ts'
import type { Selection } from './model-policy.ts'
import type { WatchedVersion } from './repository-watch.ts'

/** A version in the repository, with the order that holds for it. */
export interface DesiredVersion extends WatchedVersion {
  order: StandingOrder
}

/** What MODELS, the repository and the orders say of one model, and which jobs wait for its versions. */
export interface DesiredModel {
  selection: Selection
  /** Those in the repository. */
  versions: ReadonlyMap<string, DesiredVersion>
  /** As its aliases.json says. */
  aliases: ModelAliases
  /**
   * Unfinished jobs that are pinned to a version. Counted for all versions when the model is seen for the first time,
   * and later for those that stay for such jobs alone.
   */
  pinned: ReadonlyMap<string, number>
  /** Unfinished jobs of the model while this consumer can't run them; 0 where it can, or nobody could say. */
  waiting: number
}

/** Engines that load all at once share the cores, and the last is ready when all are. */
export interface LoadingTurns {
  atOnce: number
  first: readonly string[]
}

/** What this consumer is to run, as it was at the last look at the repository and at Redis. */
export interface Desired {
  /** When the look began, by the clock that `Actual` uses. */
  at: number
  /** How long a replaced version stays at least: an API may not have heard of it, and still pin jobs to it. */
  lingerMs: number
  models: ReadonlyMap<string, DesiredModel>
  /** How many versions load at a time, and the models that go first where no jobs wait. */
  loads: LoadingTurns
  /** What is wrong with the repository, for the operator. */
  problems: readonly string[]
}

/** Other files or a later order to reload are another key; a later order of any kind is another attempt. */
export function targetOf({ folder, signature, order }: DesiredVersion): LoadTarget {
  return { folder, key: `${signature} ${order.reloadAt}`, attempt: String(order.at) }
}
