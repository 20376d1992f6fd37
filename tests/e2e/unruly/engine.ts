import {
  engineOptionsSchema,
  limitImageLibrary,
  loadModel,
  parentChannel,
  startEngine,
} from '@vision-queue/model-runtime/engine'

import { z } from 'zod'

/**
 * An engine process with the real model and bad manners, which questions ask for: a run with
 * "(die)" in it kills the process as a native crash would, and one with "(block 300)" holds its
 * JavaScript thread for 300 ms first, as onnxruntime-node does while a large model runs.
 */
const options = engineOptionsSchema.parse(JSON.parse(process.argv[2] ?? 'null'))
limitImageLibrary()
await startEngine({
  channel: parentChannel(),
  options,
  exit: (code) => process.exit(code),
  async loadModel() {
    const model = await loadModel(options)
    return {
      manifest: model.manifest,
      async prepare(job) {
        const question = z.string().parse(job.input['question'])
        return { item: await model.prepare(job), dies: question.includes('(die)'), blockMs: blockOf(question) }
      },
      async run(items) {
        const blockMs = Math.max(...items.map((item) => item.blockMs))
        if (blockMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockMs)
        if (items.some(({ dies }) => dies)) process.kill(process.pid, 'SIGKILL')
        return model.run(items.map(({ item }) => item))
      },
    }
  },
})

function blockOf(question: string): number {
  return Number(/\(block (\d+)\)/.exec(question)?.[1] ?? 0)
}
