import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { jobResponseSchema } from '@vision-queue/protocol'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'

const assets = process.env['VISION_QUEUE_ASSETS'] ?? fileURLToPath(new URL('../../../shared/assets', import.meta.url))
const folder = join(assets, 'reports')
const present = existsSync(folder)
if (!present) console.log(`Skipped: there are no reported bodies at ${folder}`)
/** Whole bodies that ask what colour the circle is. */
const bodies = present ? readdirSync(folder).filter((file) => /^fail-.*\.(json|bin)$/.test(file)) : []

let system: System
beforeAll(async () => {
  if (present) system = await startSystem({ consumerEnv: { ENGINES: '1' } })
})
afterAll(async () => {
  if (present) await system.stop()
})

const outputSchema = z.object({ answers: z.tuple([z.object({ answer: z.string() })], z.unknown()) })

/** The best answer to a file that is sent as it is. */
async function answerTo(file: string, type: string, path = '/jobs'): Promise<string> {
  const response = await fetch(`${system.url}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': type, Prefer: 'wait=30' },
    body: readFileSync(join(folder, file)),
  })
  const body: unknown = await response.json()
  if (response.status !== 200) throw new Error(`${response.status} ${JSON.stringify(body)}`)
  return outputSchema.parse(jobResponseSchema.parse(body).output).answers[0].answer
}

describe.runIf(present)('a body that was reported as refused is answered', () => {
  test('there are some of each kind', () => {
    expect(bodies.filter((file) => file.endsWith('.json')).length).toBeGreaterThan(2)
    expect(bodies.filter((file) => file.endsWith('.bin')).length).toBeGreaterThan(2)
  })

  test.each(bodies)('%s', async (file) => {
    const type = file.endsWith('.json') ? 'application/json' : 'multipart/form-data; boundary=XBOUNDARYX'
    expect(await answerTo(file, type)).toBe('red')
  })

  test('an image announced as image/jpg', async () => {
    const path = '/jobs?model=shapes-vqa&question=What+colour+is+the+circle'
    expect(await answerTo('ok-plain.jpg', 'image/jpg', path)).toBe('red')
  })
})
