import { describe, expect, it } from 'vitest'

import { multimodalPositions, plainPositions } from './positions.ts'

const rows = ({ positions }: { positions: readonly Int32Array[] }) => positions.map((axis) => [...axis])

describe('positions of a prompt', () => {
  it('count from where the family counts', () => {
    expect(rows(plainPositions(3))).toEqual([[0, 1, 2]])
    expect(plainPositions(3, 1)).toEqual({ positions: [Int32Array.of(1, 2, 3)], nextPosition: 4 })
  })
  it('on three axes are one number for text, as in a prompt without images', () => {
    const found = multimodalPositions([5, 6, 7], 9, [])
    expect(rows(found)).toEqual([
      [0, 1, 2],
      [0, 1, 2],
      [0, 1, 2],
    ])
    expect(found.nextPosition).toBe(3)
  })
  it("lay an image's features in a grid, and go on after the largest", () => {
    // The example in the documentation of Qwen2-VL's get_rope_index, with text before it and time 1.
    const found = multimodalPositions([5, 9, 9, 9, 9, 9, 9, 6, 7], 9, [{ time: 1, height: 2, width: 3 }])
    expect(rows(found)).toEqual([
      [0, 1, 1, 1, 1, 1, 1, 4, 5],
      [0, 1, 1, 1, 2, 2, 2, 4, 5],
      [0, 1, 2, 3, 1, 2, 3, 4, 5],
    ])
    expect(found.nextPosition).toBe(6)
  })
  it('of two images in a row begin anew for the second', () => {
    const found = multimodalPositions([9, 9, 9], 9, [
      { time: 1, height: 1, width: 2 },
      { time: 1, height: 1, width: 1 },
    ])
    expect(rows(found)).toEqual([
      [0, 0, 2],
      [0, 0, 2],
      [0, 1, 2],
    ])
    expect(found.nextPosition).toBe(3)
  })
  it('are refused where the prompt has other places than the images', () => {
    expect(() => multimodalPositions([9, 9, 5], 9, [{ time: 1, height: 1, width: 3 }])).toThrow(/3 features has 2/)
    expect(() => multimodalPositions([9], 9, [])).toThrow(/more places/)
  })
})
