/** One piece of work inside Redis: a Lua function by name, over keys that all share one hash slot. */
export interface Step {
  readonly name: string
  /** At least one. On a Cluster the first one decides to which node the step goes. */
  readonly keys: readonly string[]
  readonly args: readonly (string | number | Buffer)[]
}

/**
 * Lua by step name: the body of `function(KEYS, ARGV, chain, publish)`.
 * - `return reply` goes on with the chain's next step; `return reply, true` ends the chain here.
 * - `chain.carry`, a string or nil, is shared by the steps of one chain.
 * - `chain.turn` is a table that all chains of one script call share, to ask Redis once for what they all need.
 * - `publish(channel, json)` collects: when the call ends, each channel gets one message, a JSON array of all of them.
 * - A reply is what Redis can return: text, a whole number, a list of replies, `false` for null. Never nil in a list.
 */
export type StepSources = Readonly<Record<string, string>>

/** A Redis command in plain words, such as `['SET', key, bytes, 'PX', 60_000, 'NX']`. */
export type PlainCommand = readonly [command: string, ...args: (string | number | Buffer)[]]

export interface RunOptions {
  /**
   * The chain is let through when Redis' memory is full, because it ends work and so makes room. Default: false, then
   * Redis refuses the chain at its first write.
   */
  readonly whenFull?: boolean
  /**
   * Sent in front of the script, in the same write to the socket; on a Cluster they are awaited first. An error of
   * one rejects the chain. For bytes, which then don't pass through Lua.
   */
  readonly before?: readonly PlainCommand[]
  /** Comes after the other chains of the same call, because it goes by what they change. Default: false. */
  readonly last?: boolean
}
