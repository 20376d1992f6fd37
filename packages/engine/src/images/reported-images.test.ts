import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'

import { findAssets } from '@vision-queue/test-support/assets'
import { findModel } from '@vision-queue/models'
import { type LoadedModel, loadModel } from '../model.ts'
import { limitImageLibrary } from './image-preprocessing.ts'

const assets = findAssets()
const folder = join(assets ?? '', 'reports')
const files = assets === null ? [] : readdirSync(folder).filter((file) => /\.(jpg|png|webp)$/.test(file))
if (files.length === 0) console.log('Skipped: the images after public bug reports are not there')

const outputSchema = z.object({ answers: z.array(z.object({ answer: z.string() })).min(1) })
const shipped = fileURLToPath(new URL('../../../../models', import.meta.url))
const circle = 'What colour is the circle?'
const background = 'What colour is the background?'

/** The question that a file is for, and the right answer. */
function expectedOf(file: string): [question: string, answer: RegExp] {
  if (/^fail-(linear|grey)-profile|^same-/.test(file)) return [background, /^gray gray$/]
  return [circle, file === 'ok-gray.jpg' ? /./ : /^red red$/]
}

describe.skipIf(files.length === 0)('images after public bug reports (skipped where they are not there)', () => {
  let copied = ''
  const models: LoadedModel[] = []
  beforeAll(async () => {
    limitImageLibrary()
    // Not in the describe's body, which runs although its tests are skipped.
    copied = mkdtempSync(join(tmpdir(), 'vision-queue-reports-'))
    // The shipped model shrinks all images while it reads them; a copy of it none of these but one.
    cpSync(join(shipped, 'shapes-vqa'), join(copied, 'shapes-vqa'), { recursive: true })
    writeFileSync(join(copied, 'shapes-vqa/1/model.json'), '{"task":"visual-question-answering","max_batch_size":32}')
    for (const repository of [shipped, copied]) {
      const location = await findModel(repository, 'shapes-vqa', null)
      models.push(await loadModel({ ...location, intraOpThreads: 1, maxImagePixels: 50_000_000 }))
    }
  })
  afterAll(async () => {
    for (const model of models) await model.close()
    rmSync(copied, { recursive: true })
  })

  async function ask(file: string, question: string): Promise<string[]> {
    const image = readFileSync(join(folder, file))
    const answers: string[] = []
    for (const model of models) {
      const [output] = await model.run([await model.prepare({ images: [image], input: { question }, parameters: {} })])
      answers.push(outputSchema.parse(output).answers[0]?.answer ?? '')
    }
    return answers
  }

  it.each(files.filter((file) => !file.startsWith('refuse-')))('%s is answered right by both paths', async (file) => {
    const [question, answer] = expectedOf(file)
    expect((await ask(file, question)).join(' ')).toMatch(answer)
  })

  it.each(files.filter((file) => file.startsWith('refuse-')))('%s is refused', async (file) => {
    await expect(ask(file, circle)).rejects.toMatchObject({ code: 'image_undecodable' })
  })
})
