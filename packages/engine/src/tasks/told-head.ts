import type { ModelFolder } from '@vision-queue/models'

import type { DetectionHead } from './detection-head.ts'
import { bestOf, type Scored, sigmoid, softmax } from './label-scores.ts'
import type { Box } from './image-place.ts'
import { lacking } from './lacking.ts'
import { matrixOf } from './output-rows.ts'
import type { TaskModel } from './task.ts'

type Told = NonNullable<ModelFolder['settings']['detection']>

/** A head by the fields of model.json. */
export function openToldHead({ folder, session }: TaskModel, told: Told, labels: string[]): DetectionHead {
  const names = [told.boxes, ...(told.scores === undefined ? [] : [told.scores])].flatMap((name) => name ?? [])
  const [boxesName = [...session.outputs.keys()][0] ?? '', scoresName] = names
  for (const name of [boxesName, ...names]) {
    if (!session.outputs.has(name)) {
      const there = [...session.outputs.keys()].join(', ')
      throw lacking(folder, `detection in model.json to name outputs of the graph (${name}); the graph has: ${there}`)
    }
  }
  const background = told.background ?? 'none'
  const scoreCount = labels.length + (background === 'none' ? 0 : 1)
  const before = 4 + (told.objectness ? 1 : 0)
  const columns = told.rows === 'label' ? 6 : scoresName === undefined ? before + scoreCount : 4

  const scoresOf = (values: ArrayLike<number>): Scored[] => {
    const scored = folder.settings.activation === 'softmax' ? softmax(values) : values
    const activate = folder.settings.activation === 'sigmoid' ? sigmoid : (value: number) => value
    const first = background === 'first' ? 1 : 0
    return bestOf(Array.from({ length: labels.length }, (_, label) => activate(scored[label + first] ?? NaN)))
  }
  const candidatesOf = (row: ArrayLike<number>, scores: ArrayLike<number> | undefined): Scored[] => {
    if (told.rows === 'label') return [{ score: row[4] ?? NaN, label: Math.round(row[5] ?? NaN) }]
    const own = scores ?? Array.from(row).slice(before)
    const certainty = told.objectness ? (row[4] ?? NaN) : 1
    return scoresOf(own).map(({ label, score }) => ({ label, score: score * certainty }))
  }
  return {
    outputs: [...new Set([boxesName, ...names])],
    labels,
    unit: told.box_unit,
    overlap: told.overlap === undefined && told.rows !== 'label' ? 0.45 : (told.overlap ?? null),
    read(outputs, threshold) {
      const places = matrixOf(outputs, boxesName, columns)
      const scores = scoresName === undefined ? null : matrixOf(outputs, scoresName, scoreCount)
      return places.rows.flatMap((row, index) => {
        const likely = candidatesOf(row, scores?.rows[index]).filter(
          ({ label, score }) => score >= threshold && labels[label] !== undefined,
        )
        if (likely.length === 0) return []
        const box = toBox(row, told.box_format ?? (told.rows === 'label' ? 'xyxy' : 'cxcywh'))
        return likely.map(({ label, score }) => ({ label, score, box }))
      })
    },
  }
}

type BoxFormat = NonNullable<Told['box_format']>

/** A row's first four numbers as a box. */
export function toBox(row: ArrayLike<number>, format: BoxFormat): Box {
  const [a = NaN, b = NaN, c = NaN, d = NaN] = Array.from(row).slice(0, 4)
  if ([a, b, c, d].some((value) => !Number.isFinite(value))) throw new Error('a box is not a number')
  const toCorners = (): [number, number, number, number] => {
    switch (format) {
      case 'cxcywh':
        return [a - c / 2, b - d / 2, a + c / 2, b + d / 2]
      case 'xywh':
        return [a, b, a + c, b + d]
      case 'xyxy':
        return [a, b, c, d]
      case 'yxyx':
        return [b, a, d, c]
      default:
        return format satisfies never
    }
  }
  const [xmin, ymin, xmax, ymax] = toCorners()
  return { xmin, ymin, xmax, ymax }
}
