import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { loadModel } from '@vision-queue/engine/parts'

import { type SessionReport, sessionOptionsSchema } from './session.ts'

/** Session runs alone, see measureSession. Argument: SessionOptions as JSON; prints SessionReport as JSON. */
const { repository, name, pictures, batchSizes, seconds } = sessionOptionsSchema.parse(
  JSON.parse(process.argv[2] ?? 'null'),
)
const folder = join(repository, name, '1')
const model = await loadModel({ name, version: '1', folder, intraOpThreads: 1, maxImagePixels: 50_000_000 })
const prepare = async (index: number): ReturnType<typeof model.prepare> => {
  const picture = pictures[index % pictures.length]
  if (picture === undefined) throw new Error('No pictures')
  return model.prepare({ images: [await readFile(picture.file)], input: picture.input, parameters: {} })
}
const perRun = new Map<number, number[]>(batchSizes.map((size) => [size, []]))
// The sizes take turns, so that a slow spell of the machine hits them all.
const end = performance.now() + seconds * 1000
while (performance.now() < end) {
  for (const size of batchSizes) {
    const batch = await Promise.all(Array.from({ length: size }, async (_, index) => prepare(index)))
    // What was prepared may be used up by a run, so it is made anew each time, outside the clock.
    const started = performance.now()
    await model.run(batch)
    perRun.get(size)?.push(performance.now() - started)
  }
}
await model.close()
const report: SessionReport = [...perRun].map(([size, runsMs]) => ({ size, runsMs }))
process.stdout.write(JSON.stringify(report))
