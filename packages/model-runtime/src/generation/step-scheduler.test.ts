import { describe, expect, it } from 'vitest'

import { chooseStep, type Schedulable } from './step-scheduler.ts'

interface Named extends Schedulable {
  name: string
  stepKey: string
  pastLength: number
}

function at(name: string, pastLength: number): Named {
  return { name, pastLength, stepKey: String(pastLength), turnsWaited: 0 }
}

/** Runs so many steps; returns the names of each. */
function steps(sequences: Named[], count: number): string[] {
  return Array.from({ length: count }, () => {
    const chosen = chooseStep(sequences)
    for (const one of chosen) {
      one.pastLength += 1
      one.stepKey = String(one.pastLength)
    }
    return chosen.map(({ name }) => name).join('')
  })
}

describe('which sequences the next step moves', () => {
  it('are all of them where they are as long as each other', () => {
    expect(steps([at('a', 3), at('b', 3)], 2)).toEqual(['ab', 'ab'])
  })

  it('are the shortest, until they have caught up and go on with the others', () => {
    expect(steps([at('a', 3), at('b', 0)], 5)).toEqual(['b', 'b', 'b', 'ab', 'ab'])
  })

  it('keeps nobody waiting for ever while shorter ones keep coming', () => {
    const sequences = [at('a', 100)]
    const moved = Array.from({ length: 40 }, (_, index) => {
      sequences.push(at(`n${index}`, 0))
      return steps(sequences, 1)[0] ?? ''
    })
    const turns = moved.flatMap((names, turn) => (names.includes('a') ? [turn] : []))
    expect(turns.length).toBeGreaterThan(4)
    expect(Math.max(...turns.slice(1).map((turn, index) => turn - (turns[index] ?? 0)))).toBeLessThan(10)
  })

  it('never mixes prompts of different lengths', () => {
    const [a, b] = [
      { ...at('a', 0), stepKey: '0+1' },
      { ...at('b', 0), stepKey: '0+3' },
    ]
    expect(chooseStep([a, b]).map(({ name }) => name)).toEqual(['a'])
    expect(chooseStep([])).toEqual([])
  })
})
