import type { ToEngine } from '@vision-queue/engine/messages'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { expect, it } from 'vitest'

import { requestOf } from '../test/unruly-pool.ts'
import { createTurnOutbox } from './turn-outbox.ts'

const jobs = (...ids: string[]): ToEngine => ({ kind: 'jobs', jobs: ids.map((id) => requestOf(id)) })

it('sends the jobs of one turn in one message, and everything in its order', async () => {
  const sent: ToEngine[] = []
  const say = createTurnOutbox((message) => sent.push(message))
  for (const message of [jobs('a'), jobs('b', 'c'), { kind: 'cancel', id: 'a' }, jobs('d')] satisfies ToEngine[]) {
    say(message)
  }
  expect(sent).toEqual([])
  await nextTurn()
  expect(sent).toEqual([jobs('a', 'b', 'c'), { kind: 'cancel', id: 'a' }, jobs('d')])
  say({ kind: 'drain' })
  await nextTurn()
  expect(sent.slice(3)).toEqual([{ kind: 'drain' }])
})
