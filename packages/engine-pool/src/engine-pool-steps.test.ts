import { afterEach, describe, expect, it, vi } from 'vitest'

import { ask, askAll, closeUnrulyPools, openUnrulyPool } from '../test/unruly-pool.ts'

afterEach(closeUnrulyPools)

const stepping = { name: 'stepping' }

describe('a model that answers in steps', () => {
  it('tells its text as it comes to those who asked for it, before the answer', async () => {
    const pool = openUnrulyPool(stepping)
    const heard: string[] = []
    const streaming = ask(pool, '4 steps', { onTokens: ({ text, index }) => heard.push(`${index}:${text}`) })
    const answers = await Promise.all([
      streaming.then((answer) => [answer, [...heard]]),
      ask(pool, '6 steps').then((answer) => [answer, []]),
    ])
    expect(answers).toEqual([
      ['4 steps', ['0:1', '1:2', '2:3', '3:4']],
      ['6 steps', []],
    ])
  })

  it('counts a run for each step, of as many jobs as took part', async () => {
    const pool = openUnrulyPool(stepping)
    await askAll(pool, ['3 steps', '3 steps', '3 steps', '3 steps', '3 steps'])
    const { batches, jobs, inferenceMs } = pool.stats()
    expect(jobs).toEqual({ succeeded: 5 })
    const inSteps = Object.entries(batches).reduce((sum, [size, count]) => sum + Number(size) * count, 0)
    // A start and three steps each.
    expect(inSteps).toBe(20)
    expect(Object.keys(batches).every((size) => Number(size) <= 4)).toBe(true)
    expect(inferenceMs).toBeGreaterThan(0)
  })

  it('drops a job between its steps when it is aborted', async () => {
    const pool = openUnrulyPool(stepping)
    const controller = new AbortController()
    let pieces = 0
    const dropped = ask(pool, '100000 steps', {
      signal: controller.signal,
      onTokens: () => {
        pieces += 1
        if (pieces === 2) controller.abort(new Error('not wanted any more'))
      },
    })
    await expect(dropped).rejects.toThrow('not wanted any more')
    expect(await ask(pool, '2 steps')).toBe('2 steps')
    await vi.waitFor(() => expect(pool.inFlight).toBe(0))
    expect(pieces).toBe(2)
    expect(pool.stats()).toMatchObject({ jobs: { canceled: 1, succeeded: 1 }, engineRestarts: 0 })
  })

  it('whoever runs while the engine dies is a suspect, only the one at fault fails, and texts begin anew', async () => {
    const pool = openUnrulyPool(stepping)
    const indexes: number[] = []
    const questions = ['9 steps', '9 steps die', '8 steps', '7 steps', '6 steps']
    const first = ask(pool, '5 steps', { onTokens: ({ index }) => indexes.push(index) })
    const others = askAll(pool, questions)
    expect(await first).toBe('5 steps')
    expect(await others).toEqual(questions.map((question) => (question.includes('die') ? 'engine_crashed' : question)))
    expect(indexes.slice(-5)).toEqual([0, 1, 2, 3, 4])
    expect(indexes.length).toBeGreaterThan(5)
    expect(pool.stats().engineRestarts).toBe(2)
  })

  it('is not taken for dead while its steps go on, though it has nothing to tell', async () => {
    const pool = openUnrulyPool({ ...stepping, runTimeoutMs: 1000 })
    expect(await ask(pool, '150 steps')).toBe('150 steps')
    expect(pool.stats().engineRestarts).toBe(0)
  })
})
