import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { goldenChats, goldenParameters, goldenPrompt } from '@vision-queue/engine/test/golden-chats'
import { beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

import { writeOracleFolder } from './oracle-folders.ts'

const program = fileURLToPath(new URL('transformers-program.mjs', import.meta.url))
const answersSchema = z.array(z.object({ ids: z.array(z.int()), generated: z.array(z.int()) }))
let answers: z.infer<typeof answersSchema>

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'oracle-'))
  try {
    for (const family of new Set(goldenChats.map((chat) => chat.family))) {
      await writeOracleFolder(family, join(folder, family))
    }
    const questions = goldenChats.map(({ family, image: { width, height, colour } }) => {
      const rgb = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16))
      return { family, image: { width, height, rgb }, text: goldenPrompt(family) }
    })
    const asked = JSON.stringify({ folders: `${folder}/`, parameters: goldenParameters, questions })
    const { stdout } = await promisify(execFile)(process.execPath, [program, asked])
    answers = answersSchema.parse(JSON.parse(stdout))
  } finally {
    await rm(folder, { recursive: true })
  }
})

test.each(goldenChats)(
  'Transformers.js makes the prompt and the answer of $family, $image.width x $image.height, that our engine is held to',
  (chat) => {
    const { family, ids, answer } = chat
    const said = answers[goldenChats.indexOf(chat)]
    expect(said?.ids).toEqual(ids)
    // It gives the prompt back in front of the answer; of Florence-2 the token that its decoder begins with.
    expect(said?.generated.slice(family === 'florence2' ? 1 : ids.length)).toEqual(answer)
  },
)
