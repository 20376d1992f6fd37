import { fileURLToPath } from 'node:url'

import { runBareLoop } from '@vision-queue/model-runtime/bare'
import { readExamples } from '@vision-queue/test-support/examples'

/**
 * The limit that the service is measured against: the engine's own decoding and running in one
 * process, without HTTP, Redis or messages between processes. Argument: BareOptions as JSON.
 * Prints BareReport as JSON.
 */
export interface BareOptions {
  images: number
  batchSize: number
  intraOpThreads: number
}

export interface BareReport {
  images: number
  seconds: number
  cpuSeconds: number
}

const { images, batchSize, intraOpThreads }: BareOptions = JSON.parse(process.argv[2] ?? '{}')
const examples = readExamples()
const requests = Array.from({ length: images }, (_, index) => {
  const example = examples[index % examples.length]
  if (example === undefined) throw new Error('No examples')
  return { image: example.image, input: { question: example.question }, parameters: {} }
})
const { outputs, seconds, cpuSeconds } = await runBareLoop({
  name: 'shapes-vqa',
  version: '1',
  folder: fileURLToPath(new URL('../../models/shapes-vqa/1', import.meta.url)),
  intraOpThreads,
  requests,
  batchSize,
  // Decoding goes on in libuv's threads while a batch runs.
  preparing: 2 * batchSize + 4,
})
const failed = outputs.find((output) => output instanceof Error)
if (failed instanceof Error) throw failed
const report: BareReport = { images: outputs.length, seconds, cpuSeconds }
process.stdout.write(JSON.stringify(report))
