import { maxWaitSeconds } from './config.ts'

/**
 * The seconds a caller wants to wait by `Prefer: wait` or `wait=N` (RFC 7240); null where it doesn't.
 * More than the maximum is cut to it; what is no preference of ours is passed over, as the RFC asks.
 */
export function preferredWaitSeconds(header: string | undefined): number | null {
  for (const preference of header?.split(',') ?? []) {
    const match = /^\s*wait\s*(?:=\s*"?(\d{1,9})"?)?\s*(?:;.*)?$/i.exec(preference)
    if (match === null) continue
    const seconds = match[1] === undefined ? maxWaitSeconds : Number(match[1])
    return seconds === 0 ? null : Math.min(seconds, maxWaitSeconds)
  }
  return null
}
