import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { z } from 'zod'

/** A picture of a set and what is asked about it, in the form that the task's judge reads. */
export type Case = { image: string; kind?: string | undefined } & Record<string, unknown>

const plainSchema = z.array(z.looseObject({ image: z.string(), kind: z.string().optional() }))

/** What `training/make_task_tests.py` writes: for each picture, what every task but questions has to say. */
const tasksSchema = z.array(
  z.object({
    image: z.string(),
    statements: z.array(z.object({ kind: z.string(), text: z.string(), label: z.string() })),
    caption: z.string(),
    /** Whether no relation in the caption is a close call. */
    clear: z.boolean(),
    /** Instead of a caption: what a caption has to name. */
    names: z.array(z.string()).optional(),
    /** Null where no object is the largest beyond doubt. */
    label: z.string().nullable(),
    /** The first text is the true one. */
    phrases: z.array(z.object({ kind: z.string(), texts: z.array(z.string()) })),
    /** Every object and what it covers, in pixels. */
    objects: z.array(z.looseObject({})).optional(),
  }),
)

/**
 * The cases of a folder for a task: `examples.json`, as beside each model, or the `test.json` and
 * `tasks.json` of a held-out set. None where the folder has nothing for the task.
 */
export function readCases(folder: string, task: string): Case[] {
  const read = (file: string): unknown => JSON.parse(readFileSync(join(folder, file), 'utf8'))
  if (existsSync(join(folder, 'examples.json'))) return plainSchema.parse(read('examples.json'))
  if (task === 'visual-question-answering') return plainSchema.parse(read('test.json'))
  return tasksSchema
    .parse(read('tasks.json'))
    .flatMap(({ image, statements, caption, clear, names, label, phrases, objects }): Case[] => {
      switch (task) {
        case 'visual-entailment':
          return statements.map((statement) => ({ image, ...statement }))
        case 'image-to-text':
          if (names !== undefined) return [{ image, names }]
          return [{ image, kind: clear ? 'clear' : 'close call', text: caption }]
        case 'image-classification':
          return label === null ? [] : [{ image, label }]
        case 'zero-shot-image-classification':
          return phrases.map(({ kind, texts }) => ({ image, kind, label: texts[0], candidate_labels: texts }))
        case 'object-detection':
          return objects === undefined ? [] : [{ image, objects }]
        default:
          return []
      }
    })
}
