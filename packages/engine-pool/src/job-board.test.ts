import { describe, expect, it } from 'vitest'

import { createJobBoard, type BoardJob, type Seat } from './job-board.ts'

function job(id: string, suspect = false): BoardJob {
  return {
    job: { id, images: [new Uint8Array()], input: {}, parameters: {}, deadlineAt: null },
    settled: false,
    suspect,
    deaths: 0,
  }
}

function seat(): Seat<BoardJob> & { ready: boolean } {
  return { ready: true, handed: new Map(), launched: new Set() }
}

function board(...ids: string[]) {
  const made = createJobBoard<BoardJob>()
  for (const id of ids) made.add(job(id))
  return made
}

const held = (of: Seat<BoardJob>): string[] => [...of.handed.keys()]

describe('handing out', () => {
  it('gives to the engine with the least, and no more than the window', () => {
    const [a, b] = [seat(), seat()]
    const queue = board('1', '2', '3', '4', '5', '6', '7')
    queue.assign([a, b], 2)
    expect(held(a)).toEqual(['1', '3'])
    expect(held(b)).toEqual(['2', '4'])
    a.handed.clear()
    queue.assign([a, b], 2)
    expect(held(a)).toEqual(['5', '6'])
    expect(queue.clear().map(({ job: { id } }) => id)).toEqual(['7'])
  })

  it('gives nothing to an engine that is not ready, and never a job that was settled', () => {
    const [a, b] = [seat(), seat()]
    a.ready = false
    const queue = createJobBoard<BoardJob>()
    queue.add({ ...job('gone'), settled: true })
    queue.add(job('here'))
    queue.assign([a, b], 4)
    expect(held(a)).toEqual([])
    expect(held(b)).toEqual(['here'])
  })
})

describe('a death', () => {
  it('makes suspects of what was launched; the rest goes on at once, first in line', () => {
    const [a, b] = [seat(), seat()]
    const queue = board('1', '2', '3', '4')
    queue.assign([a], 3)
    a.launched.add('1').add('2')
    a.ready = false
    expect(queue.takeBack(a)).toBeNull()
    queue.assign([a, b], 8)
    expect(held(b)).toEqual(['3', '4'])
    a.ready = true
    queue.assign([a, b], 8)
    expect(held(a)).toEqual(['1'])
    a.handed.clear()
    queue.assign([a, b], 8)
    expect(held(a)).toEqual(['2'])
  })

  it('makes suspects of all where nothing was launched', () => {
    const a = seat()
    const queue = board('1', '2')
    queue.assign([a], 8)
    queue.takeBack(a)
    queue.assign([a], 8)
    expect(held(a)).toEqual(['1'])
  })

  it('makes a suspect of whoever saw two deaths', () => {
    const [a, b] = [seat(), seat()]
    const queue = board('blamed', 'bystander')
    queue.assign([a], 8)
    a.launched.add('blamed')
    a.ready = false
    queue.takeBack(a)
    queue.add(job('other'))
    queue.assign([a, b], 8)
    expect(held(b)).toEqual(['bystander', 'other'])
    b.launched.add('other')
    b.ready = false
    queue.takeBack(b)
    const c = seat()
    queue.assign([a, b, c], 8)
    expect(held(c)).toEqual([])
    expect(queue.clear().map(({ job: { id } }) => id)).toEqual(['blamed', 'bystander', 'other'])
  })

  it('names the culprit when it was alone, and only then', () => {
    const a = seat()
    const queue = board('single')
    queue.assign([a], 8)
    a.launched.add('single')
    expect(queue.takeBack(a)).toBeNull()
    queue.assign([a], 8)
    expect(queue.takeBack(a)?.job.id).toBe('single')
    expect(queue.clear()).toEqual([])
  })
})

describe('quarantine', () => {
  it('keeps good jobs out of the engine that runs suspects, until the last of them is done', () => {
    const a = seat()
    const queue = createJobBoard<BoardJob>()
    queue.add(job('suspect', true))
    queue.add(job('good'))
    queue.assign([a], 8)
    expect(held(a)).toEqual(['suspect'])
    a.handed.clear()
    queue.assign([a], 8)
    expect(held(a)).toEqual(['good'])
  })

  it('waits until the engine is empty', () => {
    const a = seat()
    const queue = board('good')
    queue.assign([a], 8)
    queue.add(job('suspect', true))
    queue.assign([a], 8)
    expect(held(a)).toEqual(['good'])
  })

  it('moves to another engine where its own does not come back', () => {
    const [a, b] = [seat(), seat()]
    const queue = board('1')
    queue.assign([a], 8)
    queue.takeBack(a)
    a.ready = false
    queue.assign([a, b], 8)
    expect(held(b)).toEqual([])
    queue.endQuarantine(a)
    queue.assign([a, b], 8)
    expect(held(b)).toEqual(['1'])
  })
})
