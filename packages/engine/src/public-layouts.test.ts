import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { VisionQueueError } from '@vision-queue/protocol'
import { env } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { layouts, type Layout } from '../test/public-layouts/index.ts'
import { blankImage } from './images/image-preprocessing.ts'
import { loadModel } from './model.ts'
import { findTask } from './tasks/index.ts'

env.logLevel = 'fatal'

/** Its table is between these lines. `UPDATE_DOCS=1 npx vitest run public-layouts` writes it anew. */
const document = new URL('../../../docs/models.md', import.meta.url)
const [start, end] = ['<!-- layouts: written by public-layouts.test.ts -->', '<!-- layouts end -->']
/** Upright, wide and square: of some models the tensors are of different sizes then. */
const pictures = [
  blankImage({ width: 20, height: 30 }, '#ff0000'),
  blankImage({ width: 64, height: 20 }, '#0000ff'),
  blankImage({ width: 32, height: 32 }, '#00ff00'),
]
const outcomes = new Map<string, string>()
let root = ''

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'layouts-'))
})
afterAll(async () => {
  await rm(root, { recursive: true })
})

async function write(folder: string, files: Layout['files']): Promise<void> {
  for (const [file, content] of Object.entries(files)) {
    const path = join(folder, file)
    await mkdir(dirname(path), { recursive: true })
    const isRaw = typeof content === 'string' || content instanceof Uint8Array
    await writeFile(path, isRaw ? content : JSON.stringify(content))
  }
}

/** As it would be served, answering a job alone and beside another; or the sentence of its refusal. */
async function outcomeOf({ files }: Layout): Promise<string> {
  const folder = join(root, String(outcomes.size))
  await write(folder, files)
  const model = await loadModel({ name: 'model', version: '1', folder, intraOpThreads: 1, maxImagePixels: 1e7 }).catch(
    (error: unknown) => {
      if (error instanceof VisionQueueError && error.code === 'model_unavailable') return error
      throw error
    },
  )
  if (model instanceof VisionQueueError) {
    // Which tasks there are is no matter of one layout.
    return `refused: ${model.detail.replace(/; it has: [^.]*\./, '.').replace(/, one of: [^;]*;/, ';')}`
  }
  try {
    const { task } = model.manifest
    const { sampleInput: input, sampleParameters: parameters = {} } = findTask(task)
    const jobs = await Promise.all(
      pictures.map(async (image) => model.prepare({ images: [await image], input, parameters })),
    )
    const together = await model.run(jobs)
    for (const [index, job] of jobs.entries()) expect((await model.run([job]))[0]).toEqual(together[index])
    // What is no number would be null.
    for (const answer of together) expect(JSON.stringify(answer)).not.toContain('null')
    return `served: ${task}`
  } finally {
    await model.close()
  }
}

describe('a public layout, without model.json', () => {
  it.each(layouts)('$name', async (layout) => {
    const outcome = await outcomeOf(layout)
    outcomes.set(layout.name, outcome)
    // A task, or a sentence or two that say of which file; never an error of code.
    expect(outcome).toMatch(/^(served: [a-z-]+|refused: (model\/1|onnx\/).{20,}\.)$/s)
  })

  it('is in the table of docs/models.md as it is here', async () => {
    const cell = (words: string): string => words.replaceAll('|', '\\|').replaceAll('\n', ' ')
    const rows = [...outcomes].map(([name, outcome]) => `| ${cell(name)} | ${cell(outcome)} |`)
    const table = ['| layout | this release |', '|---|---|', ...rows].join('\n')
    const whole = await readFile(document, 'utf8')
    const [before, rest] = whole.split(start)
    const [written, after] = rest?.split(end) ?? []
    if (process.env['UPDATE_DOCS'] === '1') {
      await writeFile(document, `${before}${start}\n\n${table}\n\n${end}${after}`)
      return
    }
    expect(written?.trim()).toBe(table)
  })
})
