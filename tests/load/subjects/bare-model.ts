import { availableParallelism } from 'node:os'

import { z } from 'zod'

import type { Corpus } from '../corpora.ts'
import { sumOf } from '../windows/window.ts'
import { openDrive } from './drive.ts'
import type { Subject } from './subject.ts'

export const bareModelName = 'bare loop'

/** The argument of one process of the loop, as JSON. */
export const bareModelOptionsSchema = z.object({
  /** The version's folder. */
  folder: z.string(),
  name: z.string(),
  /** Taken in turn. */
  pictures: z.array(z.object({ file: z.string(), input: z.record(z.string(), z.string()) })).min(1),
  batchSize: z.int().min(1),
  /** Which of the model's graphs. Null: the one that the engine chooses. */
  variant: z.enum(['fp32', 'int8']).nullable(),
})
export type BareModelOptions = z.infer<typeof bareModelOptionsSchema>

/**
 * What a service is measured against: the engine's own decoding and running in a loop, in one process a core with one
 * thread a run, decoding of the next batch beside the run of this one; without HTTP, Redis or messages.
 */
export async function openBareModel(
  corpus: Corpus,
  batchSize: number,
  variant: BareModelOptions['variant'] = null,
): Promise<Subject> {
  const pictures = corpus.requests.map(({ file, query: { model: _model, ...input } }) => ({ file, input }))
  const folder = `${corpus.repository}/${corpus.model}/1`
  const options: BareModelOptions = { folder, name: corpus.model, pictures, batchSize, variant }
  // As many decoding threads as an engine has.
  const env = { UV_THREADPOOL_SIZE: '2' }
  const drives = await Promise.all(
    Array.from({ length: availableParallelism() }, async () => openDrive('bare-model-process.ts', options, env)),
  )
  return {
    name: bareModelName,
    parts: () => drives.map(({ pid }) => ({ part: 'bare', pid })),
    go: async () => void (await Promise.all(drives.map(async (drive) => drive.go()))),
    tally: async () => sumOf(await Promise.all(drives.map(async (drive) => drive.tally()))),
    pause: async () => void (await Promise.all(drives.map(async (drive) => drive.pause()))),
    stop: async () => void (await Promise.all(drives.map(async (drive) => drive.stop()))),
  }
}
