/** One of the systems that are compared: an HTTP API, a queue in Redis, and workers with a no-op model. */
export interface Contender {
  name: string
  /** By part, such as `celery`. */
  versions: Record<string, string>
  /** Resolves once it answers jobs. Rejects with its last words where it doesn't. */
  start(): Promise<RunningContender>
}

/** The parts that CPU time is told for. */

export type Part = 'api' | 'redis' | 'workers'

export interface RunningContender {
  /** Where a JPEG is posted to, as a raw body; the question and the rest are added to the query. */
  submitUrl: string
  /** The heads of its processes; what they have started counts with them. */
  pids: Record<Part, number[]>
  /** Ends all of it, Redis too. */
  stop(): Promise<void>
}
