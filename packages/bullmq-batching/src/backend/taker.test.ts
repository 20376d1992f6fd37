import { expect, test } from 'vitest'

import type { Step } from '../turns/step.ts'
import { Taker } from './taker.ts'

/** A queue that answers each take with what is next in the list, and remembers what it was asked for. */
function fakeQueue(replies: readonly (readonly unknown[])[], concurrency = 4) {
  const asked: Step[] = []
  const left = [...replies]
  const taker = new Taker({
    turns: {
      async run(steps) {
        await new Promise((resolve) => setImmediate(resolve))
        const made = typeof steps === 'function' ? steps() : steps
        asked.push(...made)
        return made.map(() => left.shift() ?? [[], 0, 0, 0])
      },
    },
    base: 'bull:jobs:',
    concurrency,
    lockMs: 30_000,
    workerName: '',
    events: false,
    lockBase: 'lock',
    takeOne: async (token) => ['one', token],
    onReady: () => {},
  })
  return { taker, asked, names: () => asked.map(({ name }) => name) }
}

const job = (id: string): unknown[] => [id, `lock-${id}`, ['name', id, 'data', '{}', 'opts', '{}']]

test('an empty queue is asked once in a turn of the event loop, and again in the next', async () => {
  const { taker, asked } = fakeQueue([])
  expect(await taker.next('t')).toEqual([null, 0, 0, 0])
  expect(await taker.next('t')).toEqual([null, 0, 0, 0])
  expect(asked).toHaveLength(1)
  await new Promise((resolve) => setImmediate(resolve))
  await taker.next('t')
  expect(asked).toHaveLength(2)
})

test('a queue whose next delayed job is due is asked, so that the Worker’s loop never turns without the event loop', async () => {
  const due = Date.now()
  const later = due + 60_000
  const { taker, asked } = fakeQueue([
    [[], 0, due, 0],
    [[], 0, later, 0],
  ])
  expect(await taker.next('t')).toEqual([null, 0, 0, due])
  expect(await taker.next('t')).toEqual([null, 0, 0, later])
  expect(await taker.next('t')).toEqual([null, 0, 0, later])
  expect(asked).toHaveLength(2)
})

test('all free places are filled by one call, which the asks that follow need not wait for', async () => {
  const { taker, asked } = fakeQueue([[['a', 'b', 'c', 'd'].map(job), 1, 0, 0]])
  const ids = [await taker.next('t1'), await taker.next('t2'), await taker.next('t3'), await taker.next('t4')]
  expect(ids.map(([, id]) => id)).toEqual(['a', 'b', 'c', 'd'])
  expect(asked.map(({ args }) => args[1])).toEqual([4])
  expect(taker.lockOf('t2', 'b')).toBe('lock-b')
  expect(taker.lockOf('t2', 'other')).toBe('t2')
})

test('a place whose job could not be ended leaves its next one to another', async () => {
  const { taker } = fakeQueue([[[job('a')], 0, 0, 0]])
  const slot = taker.after('t1')
  expect((await slot.next)[1]).toBe('a')
  slot.abandon()
  expect(taker.lockOf('t1', 'a')).toBe('t1')
  expect((await taker.next('t2'))[1]).toBe('a')
})

test('what nobody asks for is given back when the Worker stops, and what arrives later at once', async () => {
  const { taker, asked, names } = fakeQueue([[[job('a'), job('b')], 1, 0, 0], [2], [[job('c'), job('d')], 1, 0, 0]])
  await taker.next('t1')
  await taker.stop()
  expect(names()).toEqual(['bull:take', 'bull:back'])
  expect(asked[1]?.args).toEqual([0, 'b', 'lock-b'])
  const late = taker.after('t1')
  expect((await late.next)[1]).toBe('c')
  await taker.stop()
  expect(asked.at(-1)?.args).toEqual([0, 'd', 'lock-d'])
})

test('a queue with a rate limit is asked BullMQ’s own way, one job after the other', async () => {
  const { taker } = fakeQueue([[[], 1, 0, 1]])
  expect(await taker.next('t1')).toEqual(['one', 't1'])
})
