import { describe, expect, it } from 'vitest'

import { createStepScheduler, type Schedulable, type StepScheduler } from './step-scheduler.ts'

interface Named extends Schedulable {
  name: string
  stepKey: string
}

function at(name: string, length: number): Named {
  return { name, stepKey: String(length), turnsWaited: 0 }
}

/** Runs so many steps; returns the names of each. */
function steps(choose: StepScheduler<Named>, sequences: readonly Named[], count: number): string[] {
  return Array.from({ length: count }, () => {
    const chosen = choose(sequences)
    for (const one of chosen) one.stepKey = String(Number(one.stepKey) + 1)
    return chosen.map(({ name }) => name).join('')
  })
}

describe('the next step', () => {
  it('is for all of them where they are as long as each other', () => {
    expect(steps(createStepScheduler(), [at('a', 3), at('b', 3)], 2)).toEqual(['ab', 'ab'])
  })

  it('stays with one group for its turn, while newcomers gather to start together', () => {
    const choose = createStepScheduler<Named>({ quantum: 3 })
    const sequences = [at('a', 5)]
    expect(steps(choose, sequences, 1)).toEqual(['a'])
    sequences.push(at('b', 0))
    expect(steps(choose, sequences, 1)).toEqual(['a'])
    sequences.push(at('c', 0))
    expect(steps(choose, sequences, 5)).toEqual(['a', 'bc', 'bc', 'bc', 'a'])
  })

  it('goes to the next group at once where a group has left', () => {
    const choose = createStepScheduler<Named>({ quantum: 100 })
    const [a, b] = [at('a', 5), at('b', 0)]
    expect(steps(choose, [a, b], 2)).toEqual(['a', 'a'])
    expect(steps(choose, [b], 2)).toEqual(['b', 'b'])
  })

  it('takes in a group that it meets at one length', () => {
    const choose = createStepScheduler<Named>({ quantum: 4 })
    expect(steps(choose, [at('a', 0), at('b', 2)], 4)).toEqual(['a', 'a', 'ab', 'ab'])
  })

  it('comes to everyone, whatever the number of groups', () => {
    const choose = createStepScheduler<Named>({ quantum: 2 })
    const sequences = Array.from({ length: 5 }, (_, index) => at(String(index), index * 100))
    const order = steps(choose, sequences, 20).filter((_, step) => step % 2 === 0)
    expect(order.slice(0, 5).toSorted()).toEqual(['0', '1', '2', '3', '4'])
    expect(order.slice(5)).toEqual(order.slice(0, 5))
  })

  it('never mixes prompts of different lengths, and is for nobody where there is nobody', () => {
    const [a, b] = [at('a', 0), at('b', 0)]
    a.stepKey = '0+1'
    b.stepKey = '0+3'
    const choose = createStepScheduler<Named>()
    expect(choose([a, b]).map(({ name }) => name)).toEqual(['a'])
    expect(createStepScheduler()([])).toEqual([])
  })
})
