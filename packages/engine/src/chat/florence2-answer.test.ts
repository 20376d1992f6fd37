import { describe, expect, it } from 'vitest'

import { readRegions } from './florence2-answer.ts'

const size = { height: 500, width: 2000 }
const loc = (...bins: number[]): string => bins.map((bin) => `<loc_${bin}>`).join('')

describe("Florence-2's answer", () => {
  it('names boxes in pixels of the original, each number the middle of its bin', () => {
    expect(
      readRegions(`car${loc(0, 0, 999, 999)}wheel${loc(100, 200, 300, 400)}`, 'description_with_bboxes', size),
    ).toEqual([
      { label: 'car', box: { xmin: 1, ymin: 0.25, xmax: 1999, ymax: 499.75 } },
      { label: 'wheel', box: { xmin: 201, ymin: 100.25, xmax: 601, ymax: 200.25 } },
    ])
  })
  it('may name several boxes of one label, and boxes without any', () => {
    const both = readRegions(`a cat${loc(0, 0, 9, 9)}${loc(10, 10, 19, 19)}`, 'phrase_grounding', size)
    expect(both.map(({ label }) => label)).toEqual(['a cat', 'a cat'])
    expect(readRegions(loc(0, 0, 9, 9), 'bboxes', size).map(({ label }) => label)).toEqual([''])
  })
  it('of text in an image names four corners', () => {
    const [first, ...others] = readRegions(`STOP${loc(0, 0, 10, 0, 10, 10, 0, 10)}`, 'ocr', {
      height: 1000,
      width: 1000,
    })
    expect(others).toEqual([])
    expect(first).toEqual({
      label: 'STOP',
      polygon: [
        { x: 0.5, y: 0.5 },
        { x: 10.5, y: 0.5 },
        { x: 10.5, y: 10.5 },
        { x: 0.5, y: 10.5 },
      ],
    })
  })
  it('of an area is one polygon for each part of it', () => {
    const text = `${loc(0, 0, 1, 1, 2, 2)}<sep>${loc(3, 3, 4, 4, 5, 5, 6)}`
    const found = readRegions(text, 'polygons', size)
    expect(found.map((region) => ('polygon' in region ? region.polygon.length : 0))).toEqual([3, 3])
  })
  it('that may name either is read by its marks', () => {
    const kind = 'description_with_bboxes_or_polygons'
    expect(readRegions(`cat${loc(1, 1, 2, 2)}`, kind, size)).toEqual([{ label: 'cat', box: expect.anything() }])
    const points = [1, 2, 3].map((at) => ({ x: (at + 0.5) * 2, y: (at + 0.5) / 2 }))
    expect(readRegions(`cat<poly>${loc(1, 1, 2, 2, 3, 3)}</poly>`, kind, size)).toEqual([
      { label: 'cat', polygon: points },
    ])
  })
  it('that was cut within a place does not name that place', () => {
    expect(readRegions(`car${loc(1, 1, 2, 2)}dog${loc(1, 1, 2)}`, 'description_with_bboxes', size)).toHaveLength(1)
    expect(readRegions('no place at all', 'description_with_bboxes', size)).toEqual([])
  })
})
