import {
  engineOptionsSchema,
  limitImageLibrary,
  loadModel,
  parentChannel,
  startEngine,
} from '@vision-queue/model-runtime/engine'

import { z } from 'zod'

/**
 * An engine process with the real model, in which a question that holds "(crash)" ends the process as a native
 * crash would, "(hang)" never returns from the run, and "(eat)" takes ever more memory,
 * outside JavaScript's heap as native code does.
 */
const options = engineOptionsSchema.parse(JSON.parse(process.argv[2] ?? 'null'))
limitImageLibrary()
await startEngine({
  channel: parentChannel(),
  exit: (code) => process.exit(code),
  async loadModel() {
    const model = await loadModel(options)
    return {
      manifest: model.manifest,
      async prepare(job) {
        return { item: await model.prepare(job), question: z.string().parse(job.input['question']) }
      },
      async run(items) {
        const asked = items.map(({ question }) => question).join(' ')
        if (asked.includes('(crash)')) process.kill(process.pid, 'SIGSEGV')
        if (asked.includes('(hang)')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
        if (asked.includes('(eat)')) eat()
        return model.run(items.map(({ item }) => item))
      },
    }
  },
})

function eat(): never {
  const eaten: Buffer[] = []
  for (;;) {
    eaten.push(Buffer.alloc(16 * 2 ** 20, 1))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
  }
}
