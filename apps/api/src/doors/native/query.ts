import type { Context } from 'hono'

import { refusal } from '../../expectation.ts'
import { isMistyped } from '@vision-queue/process'

/**
 * What a request's query holds of these names, the first of each; an empty one counts as not sent. Other names are
 * passed over, as trackers, proxies and caches write theirs into it; but who mistyped a name of ours is told.
 */
export function filledQuery(c: Context, names: readonly string[]): Record<string, string> {
  const query = c.req.query()
  const filled = names.flatMap((name): [string, string][] => {
    const value = Object.hasOwn(query, name) ? query[name]?.trim() : ''
    return value === undefined || value === '' ? [] : [[name, value]]
  })
  for (const name of Object.keys(query)) {
    const meant = names.find((known) => !Object.hasOwn(query, known) && isMistyped(name, known))
    if (meant !== undefined) {
      throw refusal('invalid_request', [{ field: name, expected: `no field of this name; there is ${meant}` }])
    }
  }
  return Object.fromEntries(filled)
}
