import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { findLines } from '@vision-queue/example-ocr/find-lines'
import { getModels } from '@vision-queue/example-ocr/get-models'
import { readText } from '@vision-queue/example-ocr/read-text'
import { startSystem } from '@vision-queue/test-support/system'
import sharp from 'sharp'
import { expect, onTestFinished, test } from 'vitest'

const example = fileURLToPath(new URL('../../examples/ocr/models', import.meta.url))

test('lines are what hangs together, with a margin; faint and tiny things are none', () => {
  const [width, height] = [60, 40]
  const data = new Uint8Array(width * height)
  const fill = (left: number, top: number, w: number, h: number, value: number): void => {
    for (let y = top; y < top + h; y += 1) data.fill(value, y * width + left, y * width + left + w)
  }
  fill(30, 25, 20, 5, 250)
  fill(5, 5, 10, 5, 250)
  fill(20, 5, 10, 5, 100)
  fill(55, 35, 2, 2, 250)
  expect(findLines({ width, height, data })).toEqual([
    { left: 2, top: 2, width: 16, height: 11 },
    { left: 27, top: 22, width: 26, height: 11 },
  ])
})

test('text is found and read by the weights of PP-OCR', { timeout: 240_000 }, async ({ skip }) => {
  const repository = await mkdtemp(join(tmpdir(), 'ocr-'))
  onTestFinished(async () => rm(repository, { recursive: true }))
  await cp(example, repository, { recursive: true })
  const refusal = await getModels(repository).then(
    () => null,
    (error: unknown) => String(error),
  )
  skip(refusal !== null, `The models of examples/ocr can not be had: ${refusal}`)
  const system = await startSystem({ consumerEnv: { MODELS: '', MODEL_REPOSITORY: repository, ENGINES: '1' } })
  onTestFinished(async () => system.stop())
  const text = (x: number, y: number, size: number, words: string): string =>
    `<text x="${x}" y="${y}" font-family="sans-serif" font-size="${size}">${words}</text>`
  const page = `<svg xmlns="http://www.w3.org/2000/svg" width="800" height="500"><rect width="100%" height="100%" fill="white"/>${text(60, 100, 40, 'Vision queue')}${text(60, 250, 32, 'Total: 1234.50')}</svg>`
  // A machine without fonts draws nothing that could be read.
  const image = await sharp(Buffer.from(page)).jpeg().toBuffer()
  const { channels } = await sharp(image).stats()
  skip((channels[0]?.min ?? 255) > 200, 'This machine has no font')
  const lines = await readText(system.url, image)
  // The model leaves spaces out at times, as do others of its kind.
  expect(lines.map((line) => line.text.replaceAll(' ', ''))).toEqual(['Visionqueue', 'Total:1234.50'])
  expect(lines[0]).toMatchObject({ left: expect.closeTo(58, -1), top: expect.closeTo(66, -1) })
})
