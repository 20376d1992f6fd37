import { expect, it } from 'vitest'

import { createEngineOutbox } from './engine-outbox.ts'
import type { FromEngine } from './engine-protocol.ts'

function setUp() {
  const sent: FromEngine[] = []
  const outbox = createEngineOutbox({
    async send(message) {
      sent.push(message)
    },
    state: () => ({ cpuSeconds: 1, batchLimit: 4, cost: null, residentBytes: 5, generation: null }),
  })
  return { sent, outbox }
}

const canceled = (id: string) => ({ kind: 'canceled' as const, id })

it('answers and the launch that follows in the same turn are one message, answers first', async () => {
  const { sent, outbox } = setUp()
  outbox.answer([canceled('a')], [{ size: 1, runMs: 2 }])
  outbox.answer([canceled('b')])
  await outbox.launch(['c'])
  expect(sent).toMatchObject([{ kind: 'answers', answers: [{ id: 'a' }, { id: 'b' }], launched: ['c'], batchLimit: 4 }])
})

it('answers without a launch leave by themselves, and a launch without answers at once', async () => {
  const { sent, outbox } = setUp()
  outbox.answer([canceled('a')])
  expect(sent).toEqual([])
  await Promise.resolve()
  expect(sent).toMatchObject([{ kind: 'answers', launched: [] }])
  await outbox.launch(['b'])
  expect(sent.slice(1)).toEqual([{ kind: 'launch', ids: ['b'] }])
})
