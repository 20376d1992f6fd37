import { engineOptionsSchema } from '@vision-queue/engine/messages'
import { parentChannel, startEngine } from '@vision-queue/engine/parts'

/**
 * An engine process without a model. It answers a question with what it was asked and the first byte of each image; a
 * question with "(die)" in it kills it.
 */
const { name, version } = engineOptionsSchema.parse(JSON.parse(process.argv[2] ?? 'null'))
void startEngine({
  channel: parentChannel(),
  exit: (code) => process.exit(code),
  async loadModel() {
    return {
      manifest: {
        name,
        version,
        task: 'image-comparison',
        variant: 'fp32',
        provider: 'cpu',
        maxBatchSize: 4,
        images: { min: 0, max: 3 },
        inputSchema: {},
        parametersSchema: {},
        outputSchema: {},
        fingerprint: 'f',
        cacheable: true,
        labels: null,
      },
      prepare: async ({ images, input }) => ({ images: images.map((image) => image[0] ?? 0), input }),
      async run(items) {
        if (JSON.stringify(items).includes('(die)')) process.kill(process.pid, 'SIGKILL')
        return [...items]
      },
    }
  },
})
