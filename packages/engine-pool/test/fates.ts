import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { z } from 'zod'

/** What becomes of an unruly engine while it loads. */
const fateSchema = z.enum(['SIGKILL', 'SIGSEGV', 'hang', 'out of memory'])
export type Fate = z.infer<typeof fateSchema>

/** Of the engines that load from this folder, the next ones have these fates, one each; those after them load. */
export function writeFates(folder: string, fates: readonly Fate[]): void {
  writeFileSync(join(folder, 'fates.json'), JSON.stringify(fates))
}

/** The fate of the engine that asks; null: it loads. */
export function takeFate(folder: string): Fate | null {
  try {
    const [first = null, ...others] = z
      .array(fateSchema)
      .parse(JSON.parse(readFileSync(join(folder, 'fates.json'), 'utf8')))
    writeFates(folder, others)
    return first
  } catch {
    return null
  }
}
