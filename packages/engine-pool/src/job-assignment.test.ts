import { describe, expect, it } from 'vitest'

import { aJob } from '../test/records.ts'
import { type Engine, newEngine } from './engine.ts'
import { assignJobs, endQuarantine, type JobQueue, judgeDeath, takeBack } from './job-assignment.ts'
import type { PoolJob } from './pool-job.ts'

function upEngine(index: number): Engine {
  return { ...newEngine(index), state: 'up' }
}

/** The rules applied one after the other, as a pool applies them. */
function queueOf(...jobs: (string | PoolJob)[]) {
  let queue: JobQueue = { waiting: [], suspects: [], quarantine: null }
  const add = (job: PoolJob): void => {
    if (job.suspect) queue = { ...queue, suspects: [...queue.suspects, job] }
    else queue = { ...queue, waiting: [...queue.waiting, job] }
  }
  for (const job of jobs) add(typeof job === 'string' ? aJob(job) : job)
  return {
    add,
    assign(engines: Engine[], window: number): void {
      const assignment = assignJobs(queue, engines, window)
      queue = assignment.queue
      for (const [engine, given] of assignment.given) for (const job of given) engine.handed.set(job.job.id, job)
    },
    /** The engine dies; returns the job that is to blame. */
    die(engine: Engine): string | null {
      const verdict = judgeDeath(engine, queue.quarantine === engine.index)
      for (const job of [...verdict.suspects, ...verdict.innocent]) job.deaths += 1
      for (const job of verdict.suspects) job.suspect = true
      engine.handed.clear()
      engine.launched.clear()
      queue = takeBack(queue, engine.index, verdict)
      return verdict.toBlame?.job.id ?? null
    },
    endQuarantine(engine: Engine): void {
      queue = endQuarantine(queue, engine.index)
    },
    get left(): string[] {
      return [...queue.suspects, ...queue.waiting].map(({ job: { id } }) => id)
    },
  }
}

const held = (of: Engine): string[] => [...of.handed.keys()]

describe('handing out', () => {
  it('gives to the engine with the least, and no more than the window', () => {
    const [a, b] = [upEngine(0), upEngine(1)]
    const queue = queueOf('1', '2', '3', '4', '5', '6', '7')
    queue.assign([a, b], 2)
    expect(held(a)).toEqual(['1', '3'])
    expect(held(b)).toEqual(['2', '4'])
    a.handed.clear()
    queue.assign([a, b], 2)
    expect(held(a)).toEqual(['5', '6'])
    expect(queue.left).toEqual(['7'])
  })

  it('gives nothing to an engine that is not ready, and never a job that was settled', () => {
    const [a, b] = [upEngine(0), upEngine(1)]
    a.state = 'paused'
    const queue = queueOf()
    queue.add(aJob('gone', { settled: true }))
    queue.add(aJob('here'))
    queue.assign([a, b], 4)
    expect(held(a)).toEqual([])
    expect(held(b)).toEqual(['here'])
  })
})

describe('a death', () => {
  it('makes suspects of what was launched; the rest goes on at once, first in line', () => {
    const [a, b] = [upEngine(0), upEngine(1)]
    const queue = queueOf('1', '2', '3', '4')
    queue.assign([a], 3)
    a.launched.add('1').add('2')
    a.state = 'paused'
    expect(queue.die(a)).toBeNull()
    queue.assign([a, b], 8)
    expect(held(b)).toEqual(['3', '4'])
    a.state = 'up'
    queue.assign([a, b], 8)
    expect(held(a)).toEqual(['1'])
    a.handed.clear()
    queue.assign([a, b], 8)
    expect(held(a)).toEqual(['2'])
  })

  it('makes suspects of all where nothing was launched', () => {
    const a = upEngine(0)
    const queue = queueOf('1', '2')
    queue.assign([a], 8)
    queue.die(a)
    queue.assign([a], 8)
    expect(held(a)).toEqual(['1'])
  })

  it('makes a suspect of whoever saw two deaths', () => {
    const [a, b] = [upEngine(0), upEngine(1)]
    const queue = queueOf('blamed', 'bystander')
    queue.assign([a], 8)
    a.launched.add('blamed')
    a.state = 'paused'
    queue.die(a)
    queue.add(aJob('other'))
    queue.assign([a, b], 8)
    expect(held(b)).toEqual(['bystander', 'other'])
    b.launched.add('other')
    b.state = 'paused'
    queue.die(b)
    const c = upEngine(2)
    queue.assign([a, b, c], 8)
    expect(held(c)).toEqual([])
    expect(queue.left).toEqual(['blamed', 'bystander', 'other'])
  })

  it('is blamed on a job that was alone, and on no other', () => {
    const a = upEngine(0)
    const queue = queueOf('single')
    queue.assign([a], 8)
    a.launched.add('single')
    expect(queue.die(a)).toBeNull()
    queue.assign([a], 8)
    expect(queue.die(a)).toBe('single')
    expect(queue.left).toEqual([])
  })
})

describe('quarantine', () => {
  it('keeps good jobs out of the engine that runs suspects, until the last of them is done', () => {
    const a = upEngine(0)
    const queue = queueOf()
    queue.add(aJob('suspect', { suspect: true }))
    queue.add(aJob('good'))
    queue.assign([a], 8)
    expect(held(a)).toEqual(['suspect'])
    a.handed.clear()
    queue.assign([a], 8)
    expect(held(a)).toEqual(['good'])
  })

  it('waits until the engine is empty', () => {
    const a = upEngine(0)
    const queue = queueOf('good')
    queue.assign([a], 8)
    queue.add(aJob('suspect', { suspect: true }))
    queue.assign([a], 8)
    expect(held(a)).toEqual(['good'])
  })

  it('moves to another engine where its own does not come back', () => {
    const [a, b] = [upEngine(0), upEngine(1)]
    const queue = queueOf('1')
    queue.assign([a], 8)
    queue.die(a)
    a.state = 'paused'
    queue.assign([a, b], 8)
    expect(held(b)).toEqual([])
    queue.endQuarantine(a)
    queue.assign([a, b], 8)
    expect(held(b)).toEqual(['1'])
  })
})
