import { type ApiKey, isUsable } from '@vision-queue/queue'
import type { ApiKeys } from '@vision-queue/queue/producer'

import { type KeyCommand, usage } from './key-command.ts'

/** Where the result goes, for pipes, and where what is said about it goes, for people. */
export interface Output {
  result: (text: string) => void
  note: (text: string) => void
}

/** Resolves to the exit code. */
export async function runKeyCommand(command: KeyCommand, keys: ApiKeys, { result, note }: Output): Promise<number> {
  switch (command.kind) {
    case 'create': {
      const { key, stored } = await keys.create(command)
      note(`Key ${stored.id}, ${described(stored)}. It is shown this once:`)
      result(key)
      return 0
    }
    case 'list': {
      const all = await keys.list()
      // The digest is no secret that opens anything, but nobody needs it either.
      const shown = all.map(({ digest: _digest, ...key }) => key)
      if (command.json) result(JSON.stringify(shown))
      else if (all.length === 0) note('There are no keys.')
      else for (const key of all) result(`${key.id}  ${state(key).padEnd(7)}  ${described(key)}`)
      return 0
    }
    case 'revoke': {
      const revoked = await keys.revoke(command.id)
      note(
        revoked ? `Key ${command.id} opens nothing any more.` : `There is no key ${command.id} that could be revoked.`,
      )
      return revoked ? 0 : 1
    }
    case 'help':
      result(usage.trimEnd())
      return 0
    default:
      return command satisfies never
  }
}

function state(key: ApiKey): string {
  if (key.revokedAt !== null) return 'revoked'
  return isUsable(key, Date.now()) ? 'good' : 'expired'
}

function described({ name, scopes, limits, createdAt, expiresAt }: ApiKey): string {
  const date = (time: number): string => new Date(time).toISOString().slice(0, 10)
  return [
    // What whoever made it has typed: on a terminal it must do nothing.
    `"${name.replaceAll(/\p{C}/gu, '?')}"`,
    scopes.join(','),
    `made ${date(createdAt)}`,
    expiresAt === null ? 'without expiry' : `until ${date(expiresAt)}`,
    ...(limits.requestsPerMinute === null ? [] : [`${limits.requestsPerMinute} requests a minute`]),
    ...(limits.maxJobs === null ? [] : [`${limits.maxJobs} jobs`]),
    ...(limits.maxBytes === null ? [] : [`${limits.maxBytes} bytes`]),
  ].join(', ')
}
