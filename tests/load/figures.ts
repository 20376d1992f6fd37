import { existsSync, readFileSync } from 'node:fs'

import { tableSchema } from '@vision-queue/load/html-page'
import { chartSchema } from '@vision-queue/load/svg-chart'

import { z } from 'zod'

/** One thing that was promised and what was measured. */
export const targetSchema = z.object({
  name: z.string(),
  sense: z.enum(['at least', 'at most']),
  limit: z.number(),
  unit: z.string(),
  /** Null: it could not be measured; `note` says why. */
  measured: z.number().nullable(),
  digits: z.int().min(0).max(6),
  note: z.string().nullable(),
  /** Why the figure can't be judged, such as `neighbours took 34 %`; null: it can. */
  doubt: z.string().nullable().default(null),
})
export type Target = z.infer<typeof targetSchema>

/** What a scenario found. */
export const findingsSchema = z.object({
  targets: z.array(targetSchema),
  tables: z.array(tableSchema),
  charts: z.array(chartSchema),
  /** How it was measured and what to think of it. */
  notes: z.array(z.string()),
})
export type Findings = z.infer<typeof findingsSchema>

/** A scenario's figures with when and on what they were taken. */
export const measuredSchema = findingsSchema.extend({
  title: z.string(),
  command: z.string(),
  /** ISO 8601, UTC. */
  measuredAt: z.string(),
  seconds: z.number(),
  machine: z.object({ cores: z.int(), cpu: z.string(), node: z.string(), redis: z.string(), packages: z.string() }),
})
export type Measured = z.infer<typeof measuredSchema>

const storedSchema = z.record(z.string(), measuredSchema)
/** By scenario. */
export type StoredFigures = z.infer<typeof storedSchema>

/** The figures of earlier runs; none where there is no file. Throws on a file that is no such thing. */
export function readFigures(path: string): StoredFigures {
  return existsSync(path) ? storedSchema.parse(JSON.parse(readFileSync(path, 'utf8'))) : {}
}

/** Earlier figures with fresh ones in their places, in the order given; scenarios that are no more are dropped. */
export function mergeFigures(stored: StoredFigures, fresh: StoredFigures, order: readonly string[]): StoredFigures {
  return Object.fromEntries(
    order.flatMap((name) => {
      const measured = fresh[name] ?? stored[name]
      return measured === undefined ? [] : [[name, measured]]
    }),
  )
}

/** Null where it was not measured or can't be judged. */
export function isMet({ sense, limit, measured, doubt }: Target): boolean | null {
  if (measured === null || doubt !== null) return null
  return sense === 'at least' ? measured >= limit : measured <= limit
}
