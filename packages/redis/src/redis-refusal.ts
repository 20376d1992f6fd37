/** Why Redis does not do what it is asked. `sentence` is for clients: it names no host and no user. */
export interface RedisRefusal {
  /** The first word of Redis' answer; NOPERM also for what a script may not do. */
  code: string
  sentence: string
}

/** By the first word of Redis' answer, which is the same in all versions since 7.0. */
const sentences: Readonly<Record<string, string>> = {
  MISCONF: 'Redis refuses writes, because it can not write to its own disk, which may be full.',
  OOM: 'Redis refuses writes, because its memory is full.',
  READONLY: 'Redis refuses writes, because it is a replica.',
  NOREPLICAS: 'Redis refuses writes, because too few of its replicas are connected.',
  NOPERM: 'Redis does not permit its user what is needed here.',
  NOAUTH: 'Redis asks for a password that was not given.',
  WRONGPASS: 'Redis does not take the user name or password that it was given.',
  LOADING: 'Redis is still loading its data.',
  MASTERDOWN: 'Redis is a replica that has lost its primary.',
  CLUSTERDOWN: 'The Redis Cluster is down.',
  TRYAGAIN: 'The Redis Cluster is moving these data to another node.',
  BUSY: 'Redis is busy with a script.',
}

/** What Redis has answered; null if the error is something else, as when it can't be reached. */
export function readRefusal(error: unknown): RedisRefusal | null {
  if (!(error instanceof Error)) return null
  // What is not permitted inside a script has no code of its own.
  const inScript = error.message.includes("user executing the script can't")
  const code = inScript ? 'NOPERM' : (/^[A-Z]+(?= )/.exec(error.message)?.[0] ?? '')
  const sentence = sentences[code]
  if (sentence !== undefined) return { code, sentence }
  // A Cluster's: that no node could be asked, with the last node's reason beside it.
  return 'lastNodeError' in error ? readRefusal(error.lastNodeError) : null
}
