import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { expect, it } from 'vitest'
import { z } from 'zod'

import { createEnginePool } from './engine-pool.ts'
import { findModel } from '@vision-queue/models'

const repository = fileURLToPath(new URL('../../../models', import.meta.url))
const examplesSchema = z.array(z.object({ image: z.string(), question: z.string(), answer: z.string() })).min(20)
const outputSchema = z.object({ answers: z.array(z.object({ answer: z.string() })).length(1) })

it.skipIf(!existsSync(join(repository, 'shapes-vqa')))(
  'the shipped model answers nine of ten of its examples right, in batches, through engine processes',
  async () => {
    const { folder, ...model } = await findModel(repository, 'shapes-vqa', null)
    const examples = examplesSchema.parse(JSON.parse(await readFile(join(folder, 'examples/examples.json'), 'utf8')))
    const log = { info() {}, warn() {}, error() {} }
    const pool = createEnginePool({
      modelFolder: folder,
      ...model,
      engines: 2,
      intraOpThreads: 1,
      runTimeoutMs: 60_000,
      log,
    })
    try {
      const right = await Promise.all(
        examples.map(async ({ image, question, answer }, index) => {
          const { output } = await pool.run({
            id: `example-${index}`,
            images: [await readFile(join(folder, 'examples', image))],
            input: { question },
            parameters: {},
            deadlineAt: null,
          })
          return outputSchema.parse(output).answers[0]?.answer === answer
        }),
      )
      expect(right.filter(Boolean).length / examples.length).toBeGreaterThanOrEqual(0.9)
      expect(Object.keys(pool.stats().batches).some((size) => Number(size) > 1)).toBe(true)
    } finally {
      await pool.close({ deadlineMs: 0 })
    }
  },
)
