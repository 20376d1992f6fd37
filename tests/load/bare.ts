import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { z } from 'zod'

import type { Corpus } from './corpora.ts'

/** What one process of the bare loop is asked. */
export const bareOptionsSchema = z.object({
  repository: z.string(),
  name: z.string(),
  version: z.string(),
  /** Taken in turn. */
  pictures: z.array(z.object({ file: z.string(), input: z.record(z.string(), z.string()) })).min(1),
  images: z.int().min(1),
  batchSize: z.int().min(1),
  intraOpThreads: z.int().min(1),
})
export type BareOptions = z.infer<typeof bareOptionsSchema>

export const bareReportSchema = z.object({ images: z.int(), seconds: z.number(), cpuSeconds: z.number() })
export type BareReport = z.infer<typeof bareReportSchema>

/** How a bare loop is laid out. */
export interface BareShape {
  processes: number
  intraOpThreads: number
  /** libuv's threads of each process, which decode: UV_THREADPOOL_SIZE. */
  decodingThreads: number
  batchSize: number
}

export interface BareResult extends BareShape {
  /** Images a second, of all processes together. */
  perSecond: number
  cpuMsPerImage: number
}

/**
 * The limit that a service is measured against: the engine's own decoding and running, decoding of the
 * next batch overlapped with the run of this one, in as many processes as asked, without HTTP, Redis or
 * messages. The processes' rates are added up although one may have begun while another was still loading: that errs
 * in the bare loop's favour.
 */
export async function measureBare(
  corpus: Corpus,
  { processes, decodingThreads, ...shape }: BareShape,
  images: number,
): Promise<BareResult> {
  const options: BareOptions = {
    ...shape,
    repository: corpus.repository,
    name: corpus.model,
    version: '1',
    pictures: picturesOf(corpus),
    images: Math.ceil(images / processes),
  }
  const reports = await Promise.all(Array.from({ length: processes }, async () => runProcess(options, decodingThreads)))
  const done = reports.reduce((sum, report) => sum + report.images, 0)
  return {
    processes,
    decodingThreads,
    ...shape,
    perSecond: reports.reduce((sum, report) => sum + report.images / report.seconds, 0),
    cpuMsPerImage: (reports.reduce((sum, report) => sum + report.cpuSeconds, 0) / done) * 1000,
  }
}

/** A corpus's pictures with the inputs that go with them. */
export function picturesOf({ requests }: Corpus): BareOptions['pictures'] {
  return requests.map(({ file, query }) => ({
    file,
    input: Object.fromEntries(Object.entries(query).filter(([name]) => name !== 'model')),
  }))
}

async function runProcess(options: BareOptions, decodingThreads: number): Promise<BareReport> {
  const script = fileURLToPath(new URL('bare-loop.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script, JSON.stringify(options)], {
    env: { ...process.env, UV_THREADPOOL_SIZE: String(decodingThreads) },
  })
  return bareReportSchema.parse(JSON.parse(stdout))
}
