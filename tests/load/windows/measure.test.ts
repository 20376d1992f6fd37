import { expect, test } from 'vitest'

import type { Subject } from '../subjects/subject.ts'
import { measureRounds, measureWindow, warmUp } from './measure.ts'
import type { Tally } from './window.ts'

const nothing: Tally = { jobs: 0, failures: 0, failure: null, p50Ms: null, p99Ms: null, beyondP50Ms: null }

/** A subject of this process that writes down what it is told. */
function subject(name: string, told: string[], jobs = 10): Subject {
  return {
    name,
    parts: () => [{ part: 'a', pid: process.pid }],
    async go() {
      told.push(`go ${name}`)
    },
    tally: async () => ({ ...nothing, jobs }),
    async pause() {
      told.push(`pause ${name}`)
    },
    async stop() {},
  }
}

const plan = { rounds: 2, windowMs: 20, settleMs: 1, warmUpJobs: 1 }

test('one subject at a time is under load, and each round begins with another one', async () => {
  const told: string[] = []
  const { rounds } = await measureRounds([subject('a', told), subject('b', told)], plan, () => {})

  expect(told.slice(0, 8)).toEqual(['go a', 'pause a', 'go b', 'pause b', 'go b', 'pause b', 'go a', 'pause a'])
  expect(rounds.length).toBeGreaterThanOrEqual(2)
  for (const round of rounds) expect([...round.keys()].toSorted()).toEqual(['a', 'b'])
})

test('what can not be measured is left without load', async () => {
  const told: string[] = []
  const broken = { ...subject('a', told), tally: async () => Promise.reject(new Error('gone')) }
  await expect(measureRounds([broken], plan, () => {})).rejects.toThrow('gone')
  await expect(warmUp(broken, 10)).rejects.toThrow('gone')
  expect(told).toEqual(['go a', 'pause a', 'go a', 'pause a'])
})

test('warm-up goes on until so many jobs are done, however many looks that takes', async () => {
  const told: string[] = []
  let looks = 0
  const slow = {
    ...subject('a', told),
    async tally() {
      looks += 1
      return { ...nothing, jobs: 4 }
    },
  }
  await warmUp(slow, 10)
  expect(looks).toBe(3)
  expect(told).toEqual(['go a', 'pause a'])
})

test('a window begins once the load has settled, and counts from then on', async () => {
  const told: string[] = []
  let looks = 0
  const settling = {
    ...subject('a', told),
    settleJobs: 5,
    async tally() {
      looks += 1
      return { ...nothing, jobs: looks <= 5 ? 1 : looks * 100 }
    },
  }
  const { jobs } = await measureWindow(settling, plan)
  // Five looks until it has settled, one from which the window counts, and its end.
  expect(jobs).toBe(700)
})

test('a window lasts until a job is done', async () => {
  const tallies = [0, 0, 0, 3]
  const stuck = { ...subject('a', []), tally: async () => ({ ...nothing, jobs: tallies.shift() ?? 0 }) }
  expect((await measureWindow(stuck, plan)).jobs).toBe(3)
})
