import { setImmediate as nextTurn } from 'node:timers/promises'

import type { PreparedJob } from './answering.ts'
import { createDeferred } from '@vision-queue/process'
import { limitImageLibrary } from './images/image-preprocessing.ts'
import type { ModelLocation } from '@vision-queue/models'
import { loadModel } from './model.ts'
import type { TaskOutput } from './task-output.ts'
import type { TaskRequest } from './tasks/task.ts'

export { findModel } from '@vision-queue/models'
export { loadModel, type LoadedModel } from './model.ts'
export type { TaskRequest } from './tasks/task.ts'

/** What a bare loop did. `outputs` in the order of the requests; the times leave out the loading of the model. */
export interface BareRun {
  outputs: (TaskOutput | Error)[]
  seconds: number
  cpuSeconds: number
}

/**
 * The model in a bare loop: the engine's own decoding, tokenising and running in this one process,
 * with no queue, no messages and no batcher. It is what a service is measured against: how much of
 * the bare speed is left once everything around it is there. As in an engine, images are decoded in
 * libuv's threads (UV_THREADPOOL_SIZE, which belongs to the layout as the processes do) while a batch holds
 * this one, and a batch takes what is decoded first, whichever came first; unlike there, all
 * batches are full. Rejects with the first image that can't be decoded.
 */
export async function runBareLoop({
  folder,
  name,
  version,
  intraOpThreads,
  requests,
  batchSize,
  preparing,
}: ModelLocation & {
  intraOpThreads: number
  requests: readonly TaskRequest[]
  batchSize: number
  /** How many requests are decoded or lie decoded at a time; at least twice `batchSize` overlaps the two. */
  preparing: number
}): Promise<BareRun> {
  limitImageLibrary()
  const model = await loadModel({ folder, name, version, intraOpThreads, maxImagePixels: 50_000_000 })
  const outputs: (TaskOutput | Error)[] = []
  const ready: { index: number; prepared: PreparedJob }[] = []
  const failures: unknown[] = []
  let next = 0
  let decoding = 0
  let wake = createDeferred<undefined>()
  async function prepare(index: number, request: TaskRequest): Promise<void> {
    decoding += 1
    try {
      ready.push({ index, prepared: await model.prepare(request) })
    } catch (error) {
      failures.push(error)
    }
    decoding -= 1
    wake.resolve(undefined)
  }
  const prepareMore = (): void => {
    for (; next < requests.length && decoding + ready.length < Math.max(preparing, batchSize); next += 1) {
      const request = requests[next]
      if (request !== undefined) void prepare(next, request)
    }
  }
  const cpuBefore = process.cpuUsage()
  const started = performance.now()
  for (let missing = requests.length; missing > 0 && failures.length === 0;) {
    prepareMore()
    if (ready.length < Math.min(batchSize, missing)) {
      wake = createDeferred()
      await wake.promise
      continue
    }
    const batch = ready.splice(0, batchSize)
    missing -= batch.length
    prepareMore()
    const answers = await model.run(batch.map(({ prepared }) => prepared))
    for (const [place, { index }] of batch.entries()) outputs[index] = answers[place] ?? new Error('no answer')
    // What was decoded meanwhile is heard of, so that its thread gets the next image before the next run.
    await nextTurn()
  }
  const seconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  await model.close()
  if (failures.length > 0) throw failures[0]
  return { outputs, seconds, cpuSeconds: (user + system) / 1e6 }
}
