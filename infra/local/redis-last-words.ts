import type { RedisServer } from './find-redis.ts'
import { startEmptyAdvice } from './append-only-files.ts'

/** Why Redis ended while it loaded its data: `repairable` is for repairBrokenEnd, `sentence` for a person. */
export type LoadFailure = { kind: 'repairable' } | { kind: 'sentence'; text: string }

/** Reads it from the last lines that Redis 7 or Valkey has written; null if they say nothing that is known. */
export function readLoadFailure(
  lines: readonly string[],
  { server, folder }: { server: RedisServer; folder: string },
): LoadFailure | null {
  const text = lines.join('\n')
  if (/Bad file format reading the append only file|Unexpected end of file reading the append only file/.test(text)) {
    return { kind: 'repairable' }
  }
  const sentence = (words: string): LoadFailure => ({ kind: 'sentence', text: words })
  const newer =
    /Can't handle RDB format version \d+|Unknown command '.*' reading the append only file|Unknown RDB|can't load: no matching module/i.exec(
      text,
    )
  if (newer !== null) {
    const program = server.kind === 'binary' ? server.path : server.image
    return sentence(
      `The data in ${folder} were written by a newer Redis than ${program}, or by one with modules (${newer[0]}). ` +
        `Nothing was changed; start with the Redis that wrote them, first on PATH, or with another DATA_DIR. ` +
        startEmptyAdvice(folder),
    )
  }
  if (
    /RDB file|RDB checksum|Short read or OOM loading DB|Wrong signature|error reading the RDB|RDB reading/i.test(text)
  ) {
    return sentence(
      `The base of Redis' data in ${folder} is damaged and can not be repaired. Nothing was changed; ` +
        `put the folder back from a copy if there is one. ${startEmptyAdvice(folder)}`,
    )
  }
  if (/No space left on device/.test(text)) {
    return sentence(
      `The disk of ${folder} is full, so Redis can not start. Make room there, or choose another DATA_DIR.`,
    )
  }
  if (/Permission denied|Read-only file system|Operation not permitted/.test(text)) {
    return sentence(
      `Redis can not write its data in ${folder}, because files there belong to another user or lie on a read-only ` +
        'file system. Start as that user, or choose another DATA_DIR.',
    )
  }
  return null
}
