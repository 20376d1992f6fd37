import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { final, forms, problem } from '@vision-queue/test-support/client'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { jobResponseSchema } from '@vision-queue/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const assets = process.env['VISION_QUEUE_ASSETS'] ?? fileURLToPath(new URL('../../../shared/assets', import.meta.url))
const folder = join(assets, 'bad-images')
const present = existsSync(folder)
if (!present) console.log(`Skipped: there are no test pictures at ${folder}`)

let system: System
beforeAll(async () => {
  if (present) system = await startSystem({ consumerEnv: { ENGINES: '1' } })
})
afterAll(async () => {
  if (present) await system.stop()
})

/** How the system answers a file, from its submission to its end: a problem's code, or the job's. */
async function fateOf(file: string): Promise<string> {
  const example = {
    image: readFileSync(join(folder, file)),
    type: 'image/jpeg',
    question: 'How many shapes?',
    answer: '',
  }
  const response = await forms.json(system.url, example)
  if (response.status !== 202) return (await problem(response)).code
  const job = await final(system.url, jobResponseSchema.parse(await response.json()).id)
  return job.error?.code ?? job.status
}

describe.runIf(present)('a picture that', () => {
  test.each([
    ['corrupt-header.jpg', 'image_undecodable'],
    ['truncated.jpg', 'image_undecodable'],
    ['truncated.png', 'image_undecodable'],
    ['giant-image.jpg', 'image_too_large'],
    ['65536-uint32-limit.png', 'image_too_large'],
    ['circle.svg', 'unsupported_media_type'],
    ['pitm.avif', 'unsupported_media_type'],
    ['grey-plus-alpha.gif', 'unsupported_media_type'],
    ['8bit_depth.tiff', 'unsupported_media_type'],
    ['invalid-illuminant.icc', 'unsupported_media_type'],
  ])('can not be taken is refused by its code: %s as %s', async (file, code) => {
    expect(await fateOf(file)).toBe(code)
  })

  test.each([
    'Channel_digital_image_CMYK_color_no_profile.jpg',
    '16-bit-grey-alpha.png',
    'tbgn2c16.png',
    'full-transparent.png',
    '5_webp_a.webp',
    'Landscape_6.jpg',
    'Portrait_8.jpg',
    'rotating-squares.webp',
    'big-height.webp',
  ])('is only unusual is answered: %s', async (file) => {
    expect(await fateOf(file)).toBe('succeeded')
  })
})
