import type { PreparedJob } from './answering.ts'
import { limitImageLibrary } from './image-preprocessing.ts'
import type { ModelLocation } from './model-folder.ts'
import { loadModel } from './model.ts'
import type { TaskOutput } from './task-output.ts'
import type { TaskRequest } from './tasks/task.ts'

export { findModel } from './model-folder.ts'
export { loadModel, type LoadedModel } from './model.ts'
export type { TaskRequest } from './tasks/task.ts'

/**
 * The model in a bare loop: the engine's own decoding, tokenising and running in this one process,
 * with no queue, no messages and no batcher. It is what a service is measured against: how much of
 * the bare speed is left once everything around it is there.
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
  /** How many requests are decoded at a time; at least a batch more than `batchSize` overlaps the two. */
  preparing: number
}): Promise<{ outputs: (TaskOutput | Error)[]; seconds: number; cpuSeconds: number }> {
  limitImageLibrary()
  const model = await loadModel({ folder, name, version, intraOpThreads, maxImagePixels: 50_000_000 })
  const outputs: (TaskOutput | Error)[] = []
  const cpuBefore = process.cpuUsage()
  const started = performance.now()
  const inHand: Promise<PreparedJob>[] = []
  let next = 0
  const prepareMore = (): void => {
    for (; next < requests.length && inHand.length < preparing; next += 1) {
      const request = requests[next]
      if (request !== undefined) inHand.push(model.prepare(request))
    }
  }
  for (prepareMore(); inHand.length > 0; prepareMore()) {
    const batch = await Promise.all(inHand.splice(0, batchSize))
    prepareMore()
    outputs.push(...(await model.run(batch)))
  }
  const seconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  await model.close()
  return { outputs, seconds, cpuSeconds: (user + system) / 1e6 }
}
