import { readFile } from 'node:fs/promises'

import { z } from 'zod'

/** What the arithmetic of docs/scaling.md is made of, in milliseconds of CPU of a job; from docs/benchmarks.json. */
export interface Measured {
  apiMs: number
  redisMs: number
  consumerMs: number
  engineMs: number
  /** Of `npm start` from bundles until its first answer, in milliseconds: Redis, API and consumer. */
  startMs: number
  /** When costs were measured. */
  measuredAt: string
}

const cell = z.union([z.number(), z.string(), z.null()])
const section = z.object({
  measuredAt: z.string(),
  tables: z.array(z.object({ columns: z.array(z.object({ name: z.string() })), rows: z.array(z.array(cell)) })),
})
const fileSchema = z.object({ 'cost-real': section, start: section })

/** Rejects, saying what was expected, where the file has other figures. */
export async function readMeasured(path: string | URL): Promise<Measured> {
  const file = fileSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  const cost = (column: string): number => numberIn(file['cost-real'], ['apart'], column) / 1000
  return {
    apiMs: cost('API us'),
    redisMs: cost('Redis us'),
    consumerMs: cost('consumer us'),
    engineMs: cost('engines us'),
    startMs: numberIn(file.start, ['npm start, until the first answer', 'from bundles'], 'ms'),
    measuredAt: file['cost-real'].measuredAt,
  }
}

/** The figure of the row that begins so. */
function numberIn({ tables }: z.infer<typeof section>, begin: readonly string[], column: string): number {
  const [table] = tables
  const row = table?.rows.find((cells) => begin.every((text, index) => cells[index] === text))
  const value = row?.[table?.columns.findIndex(({ name }) => name === column) ?? -1]
  if (typeof value !== 'number') throw new Error(`expected a number in row ${begin.join(', ')}, column ${column}`)
  return value
}
