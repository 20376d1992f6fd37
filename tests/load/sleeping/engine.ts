import { setTimeout as sleep } from 'node:timers/promises'

import { engineOptionsSchema } from '@vision-queue/engine/messages'
import { limitImageLibrary, loadModel, parentChannel, startEngine } from '@vision-queue/engine/parts'

/**
 * An engine whose device is elsewhere: nothing is decoded, and a run of n jobs takes 10 + 10 n ms without any
 * CPU time, so that the cores are not what limits a consumer. Its batches and manifest are the real model's.
 */
const options = engineOptionsSchema.parse(JSON.parse(process.argv[2] ?? 'null'))
limitImageLibrary()
void startEngine({
  channel: parentChannel(),
  exit: (code) => process.exit(code),
  async loadModel() {
    const { manifest, close } = await loadModel(options)
    await close()
    return {
      manifest,
      prepare: async () => null,
      async run(items) {
        await sleep(10 + 10 * items.length)
        return items.map(() => ({ answers: [{ answer: 'slept', score: 1 }] }))
      },
    }
  },
})
