import { engineOptionsSchema } from '@vision-queue/engine/messages'
import { loadModel, parentChannel, startEngine } from '@vision-queue/engine/parts'

/**
 * An engine process that answers at once how many bytes its image has, as the Python contenders' model
 * does. shapes-vqa is loaded for its manifest, so that the API checks inputs as ever, and never run.
 */
const options = engineOptionsSchema.parse(JSON.parse(process.argv[2] ?? 'null'))
await startEngine({
  channel: parentChannel(),
  exit: (code) => process.exit(code),
  async loadModel() {
    const { manifest } = await loadModel(options)
    return {
      manifest,
      prepare: async ({ images }) => images.reduce((sum, image) => sum + image.byteLength, 0),
      run: async (sizes) => sizes.map((size) => ({ answers: [{ answer: `${size} bytes`, score: 1 }] })),
    }
  },
})
