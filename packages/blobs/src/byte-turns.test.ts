import { expect, test } from 'vitest'

import { createByteTurns } from './byte-turns.ts'

/** Work that ends when it is told to, and the names of what is under way. */
function workshop(mostBytes: number) {
  const turns = createByteTurns(mostBytes)
  const underWay: string[] = []
  const ends = new Map<string, { resolve: (name: string) => void; reject: (error: Error) => void }>()
  const start = async (name: string, bytes: number): Promise<string> =>
    turns.run(bytes, async () => {
      underWay.push(name)
      return new Promise<string>((resolve, reject) => ends.set(name, { resolve, reject })).finally(() => {
        underWay.splice(underWay.indexOf(name), 1)
      })
    })
  return {
    start,
    underWay,
    end: (name: string) => ends.get(name)?.resolve(name),
    fail: (name: string) => ends.get(name)?.reject(new Error(name)),
  }
}

test('what fits is under way at a time, in the order in which it came', async () => {
  const { start, underWay, end } = workshop(10)
  const [a, b, c, d] = [start('a', 6), start('b', 4), start('c', 3), start('d', 1)]
  expect(underWay).toEqual(['a', 'b'])
  end('b')
  await b
  await Promise.resolve()
  expect(underWay).toEqual(['a', 'c', 'd'])
  for (const name of ['a', 'c', 'd']) end(name)
  expect(await Promise.all([a, c, d])).toEqual(['a', 'c', 'd'])
})

test('what is larger than the bound is done alone, and holds up what comes later', async () => {
  const { start, underWay, end } = workshop(10)
  const [a, large, c] = [start('a', 1), start('large', 50), start('c', 1)]
  expect(underWay).toEqual(['a'])
  end('a')
  await a
  await Promise.resolve()
  expect(underWay).toEqual(['large'])
  end('large')
  await large
  await Promise.resolve()
  expect(underWay).toEqual(['c'])
  end('c')
  await c
})

test('one that fails takes those who wait with it, and the next one is let in', async () => {
  const { start, underWay, end, fail } = workshop(10)
  const [a, b, c] = [start('a', 6), start('b', 6), start('c', 6)]
  fail('a')
  const settled = await Promise.allSettled([a, b, c])
  expect(settled.map((result) => (result.status === 'rejected' ? String(result.reason) : ''))).toEqual(
    Array.from({ length: 3 }, () => 'Error: a'),
  )
  const next = start('next', 10)
  expect(underWay).toEqual(['next'])
  end('next')
  expect(await next).toBe('next')
})
