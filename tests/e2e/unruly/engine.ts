import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { engineOptionsSchema } from '@vision-queue/engine/messages'
import { limitImageLibrary, loadModel, parentChannel, startEngine } from '@vision-queue/engine/parts'

import { z } from 'zod'

/**
 * An engine process with the real model and bad manners, which questions ask for: a run with "(die)" in it is
 * killed, one with "(crash)" ends the process as a native crash does, one with "(hang)" never returns, and one
 * with "(eat)" takes ever more memory, outside JavaScript's heap as native code does. One with "(block 300)" holds
 * its JavaScript thread for 300 ms first, as onnxruntime-node does while a large model runs. While a file `.no-engines`
 * lies in the model repository, engines are killed when they load.
 */
const options = engineOptionsSchema.parse(JSON.parse(process.argv[2] ?? 'null'))
limitImageLibrary()
void startEngine({
  channel: parentChannel(),
  options,
  exit: (code) => process.exit(code),
  async loadModel() {
    if (existsSync(join(options.folder, '../../.no-engines'))) process.kill(process.pid, 'SIGKILL')
    const model = await loadModel(options)
    return {
      manifest: model.manifest,
      async prepare(job) {
        const question = z.string().parse(job.input['question'])
        return { item: await model.prepare(job), question }
      },
      async run(items) {
        block(Math.max(...items.map(({ question }) => blockOf(question))))
        const asked = items.map(({ question }) => question).join(' ')
        if (asked.includes('(die)')) process.kill(process.pid, 'SIGKILL')
        if (asked.includes('(crash)')) process.kill(process.pid, 'SIGSEGV')
        if (asked.includes('(hang)')) block(Infinity)
        if (asked.includes('(eat)')) eat()
        return model.run(items.map(({ item }) => item))
      },
    }
  },
})

function blockOf(question: string): number {
  return Number(/\(block (\d+)\)/.exec(question)?.[1] ?? 0)
}

function block(milliseconds: number): void {
  if (milliseconds > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

function eat(): never {
  const eaten: Buffer[] = []
  for (;;) {
    eaten.push(Buffer.alloc(16 * 2 ** 20, 1))
    block(10)
  }
}
