import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { runBareLoop } from '@vision-queue/engine/bare'

import { type BareReport, bareOptionsSchema } from './bare.ts'

/**
 * One process of the bare loop, see measureBare. Argument: BareOptions as JSON; prints BareReport as JSON.
 * Stands alone too: node --import tsx tests/load/bare-loop.ts '{"folder":...}'.
 */
const options = bareOptionsSchema.parse(JSON.parse(process.argv[2] ?? 'null'))
const pictures = await Promise.all(
  options.pictures.map(async ({ file, input }) => ({ images: [await readFile(file)], input, parameters: {} })),
)
const requests = Array.from({ length: options.images }, (_, index) => {
  const picture = pictures[index % pictures.length]
  if (picture === undefined) throw new Error('No pictures')
  return picture
})
const { outputs, seconds, cpuSeconds } = await runBareLoop({
  name: options.name,
  version: options.version,
  folder: join(options.repository, options.name, options.version),
  intraOpThreads: options.intraOpThreads,
  requests,
  batchSize: options.batchSize,
  // Decoding goes on in libuv's threads while a batch runs.
  preparing: 2 * options.batchSize + 4,
})
const failed = outputs.find((output) => output instanceof Error)
if (failed instanceof Error) throw failed
const report: BareReport = { images: outputs.length, seconds, cpuSeconds }
process.stdout.write(JSON.stringify(report))
