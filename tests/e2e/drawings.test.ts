import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { jobResponseSchema } from '@vision-queue/protocol'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { readCases } from '../evaluate/cases.ts'
import { styles } from '../evaluate/drawings/scene.ts'
import { writeDrawings } from '../evaluate/drawings/write.ts'
import { judges } from '../evaluate/judges.ts'

let folder: string
let folders: string[]
let system: System
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'drawings-'))
  folders = await writeDrawings(folder, 3, 7)
  system = await startSystem({ consumerEnv: { MODELS: 'shapes-vqa,shapes-entailment', ENGINES: '1' } })
})
afterAll(async () => {
  await system.stop()
  rmSync(folder, { recursive: true })
})

/** Everything that was answered wrongly, and how much was asked. */
async function wrongAnswers(model: string, task: string): Promise<{ asked: number; wrong: string[] }> {
  const judge = judges[task]
  if (judge === undefined) throw new Error(`There is no judge for ${task}`)
  const judged = await Promise.all(
    folders.flatMap((set) =>
      readCases(set, task).map(async (example) => {
        const { input, judgeOutput } = judge(example)
        const response = await fetch(`${system.url}/jobs`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', prefer: 'wait=60' },
          body: JSON.stringify({
            model,
            input: { image: readFileSync(join(set, example.image)).toString('base64'), ...input },
          }),
        })
        const { right, said } = judgeOutput(jobResponseSchema.parse(await response.json()).output)
        return right ? [] : [`${set} ${example.image} ${JSON.stringify(input)}: ${said}`]
      }),
    ),
  )
  return { asked: judged.length, wrong: judged.flat() }
}

test('the drawings are the same in every run, of every style, and have questions of every kind', async () => {
  const again = mkdtempSync(join(tmpdir(), 'drawings-'))
  try {
    const others = await writeDrawings(again, 3, 7)
    const read = (sets: string[]): string[] => sets.map((set) => readFileSync(join(set, 'test.json'), 'utf8'))
    expect(read(others)).toEqual(read(folders))
    expect(folders).toHaveLength(styles.length)
    const kinds = folders.flatMap((set) => readCases(set, 'visual-question-answering')).map(({ kind }) => kind)
    expect(new Set(kinds)).toEqual(
      new Set(['color', 'shape', 'count', 'exists', 'size', 'where', 'relation', 'compare', 'background']),
    )
  } finally {
    rmSync(again, { recursive: true })
  }
})

// The floors are below what `npm run evaluate -- --drawn` gives, since a sample this small strays.
test.each([
  ['shapes-vqa', 'visual-question-answering', 150, 0.94],
  ['shapes-entailment', 'visual-entailment', 150, 0.92],
])('%s is right about drawings that no training has seen', async (model, task, least, floor) => {
  const { asked, wrong } = await wrongAnswers(model, task)
  expect(asked).toBeGreaterThan(least)
  expect(wrong.slice(Math.floor(asked * (1 - floor)))).toEqual([])
})
