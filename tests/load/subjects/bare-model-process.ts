import { readFile } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { limitImageLibrary, loadModel } from '@vision-queue/engine/parts'

import { bareModelOptionsSchema } from './bare-model.ts'
import { Counter, serveDrive } from './serve-drive.ts'

/** One process of the bare loop, see openBareModel. */
const { folder, name, pictures, batchSize, variant } = bareModelOptionsSchema.parse(
  JSON.parse(process.argv[2] ?? 'null'),
)
limitImageLibrary()
const model = await loadModel({
  name,
  version: '1',
  folder,
  intraOpThreads: 1,
  maxImagePixels: 50_000_000,
  execution: variant === null ? {} : { variant },
})
const requests = await Promise.all(
  pictures.map(async ({ file, input }) => ({ images: [await readFile(file)], input, parameters: {} })),
)
type Prepared = Awaited<ReturnType<typeof model.prepare>>

/** Two batches are being decoded or lie decoded while one runs, as the engine's batcher has them. */
const preparing = 2 * batchSize + 4
const counter = new Counter()
const ready: Prepared[] = []
let next = 0
const state = { going: false, decoding: 0 }
let looping: Promise<void> = Promise.resolve()
let wake = (): void => {}

function prepareMore(): void {
  while (state.going && state.decoding + ready.length < preparing) {
    const request = requests[next % requests.length]
    next += 1
    if (request === undefined) return
    state.decoding += 1
    void model
      .prepare(request)
      .then((prepared) => ready.push(prepared))
      .catch((error: unknown) => counter.failed(String(error)))
      .finally(() => {
        state.decoding -= 1
        wake()
      })
  }
}

async function loop(): Promise<void> {
  while (state.going) {
    prepareMore()
    if (ready.length < batchSize) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
      continue
    }
    const outputs = await model.run(ready.splice(0, batchSize))
    counter.done(outputs.filter((output) => !(output instanceof Error)).length)
    // What was decoded meanwhile is heard of, so that its thread gets the next image before the next run.
    await nextTurn()
  }
}

serveDrive(counter, {
  async go() {
    state.going = true
    looping = loop()
  },
  async pause() {
    state.going = false
    wake()
    await looping
    while (state.decoding > 0) await nextTurn()
  },
})
