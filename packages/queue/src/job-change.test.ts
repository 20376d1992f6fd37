import { expect, test } from 'vitest'

import { readChanges } from './job-change.ts'
import { newJob, succeeded } from './test-support/test-queue.ts'

const final = (answer: string) => {
  const job = newJob()
  return { kind: 'final', job: succeeded(job, answer) }
}
const running = { kind: 'running', startedAt: 1, attempts: 1 }

test.each([
  ['one change', final('a')],
  ['one that runs', running],
])('%s is a list of one, as earlier releases send it', (_, change) => {
  expect(readChanges(JSON.stringify(change))).toEqual([change])
})

test('a list of changes is read in its order', () => {
  const changes = [final('a'), running, final('b')]
  expect(readChanges(JSON.stringify(changes))).toEqual(changes)
})

test.each([
  ['no JSON', '{'],
  ['nothing', 'null'],
  ['an unknown kind', JSON.stringify({ kind: 'paused' })],
  ['a final state that is none', JSON.stringify({ ...final('a'), job: { ...final('a').job, status: 'running' } })],
  ['a job without its id', JSON.stringify({ kind: 'final', job: { ...final('a').job, id: undefined } })],
  ['a list with one that is unreadable', JSON.stringify([running, { kind: 'final', job: null }])],
])('%s is unreadable', (_, message) => {
  expect(readChanges(message)).toBeNull()
})
