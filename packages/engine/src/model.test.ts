import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { tinyGraph, tinyLabels, tinyPreprocessor, writeTinyModel } from '@vision-queue/models/test/tiny-model'
import { findModel, listModels, readModelFolder } from '@vision-queue/models'
import { loadModel } from './model.ts'
import { toPreprocessing } from '@vision-queue/models'

let root = ''
let folders = 0
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'model-folder-'))
})
afterAll(async () => {
  await rm(root, { recursive: true })
})

async function write(
  files: Parameters<typeof writeTinyModel>[1] = {},
  graph: Parameters<typeof writeTinyModel>[2] = tinyGraph(),
): Promise<{ name: string; version: string; folder: string }> {
  folders += 1
  const folder = join(root, `tiny-${folders}`, '1')
  await writeTinyModel(folder, files, graph)
  return { name: 'tiny', version: '1', folder }
}

describe('finding', () => {
  it('takes the highest version, numbers as numbers, or the one that is named', async () => {
    const repository = join(root, 'repository')
    for (const version of ['2', '10', '9']) await mkdir(join(repository, 'vqa', version), { recursive: true })
    await mkdir(join(repository, 'empty'), { recursive: true })
    expect(await findModel(repository, 'vqa', null)).toMatchObject({ version: '10' })
    expect(await findModel(repository, 'vqa', '9')).toEqual({
      name: 'vqa',
      version: '9',
      folder: join(repository, 'vqa', '9'),
    })
    expect(await listModels(repository)).toEqual(['vqa'])
    await expect(findModel(repository, 'vqa', '3')).rejects.toMatchObject({
      code: 'model_unavailable',
      detail: 'vqa has no version 3; it has: 2, 9, 10.',
    })
    await expect(findModel(repository, 'other', null)).rejects.toMatchObject({
      detail: 'There is no model other; there are: vqa.',
    })
    await expect(findModel(repository, '../repository/vqa', null)).rejects.toMatchObject({ code: 'model_unavailable' })
  })
})

describe('reading', () => {
  it('reads labels in the order of their numbers, and infers what model.json leaves out', async () => {
    const labels = Object.fromEntries(
      Array.from({ length: 12 }, (_, index) => [String(11 - index), `label ${11 - index}`]),
    )
    const location = await write({
      'model.json': { task: 'visual-question-answering' },
      'config.json': { id2label: labels, model_type: 'anything' },
    })
    const model = await readModelFolder(location)
    expect(model.maxBatchSize).toBe(32)
    expect(model.labels).toEqual(Array.from({ length: 12 }, (_, index) => `label ${index}`))
    expect(model.tokenizer).toMatchObject({ maxLength: 16, padToken: '[PAD]' })
  })

  it.each([
    ['model.json', { task: 'x', max_batchsize: 4 }, 'max_batchsize: no field of this name'],
    ['model.json', { task: 'x', max_batch_size: 0 }, 'max_batch_size: '],
    ['model.json', null, 'model.json is missing'],
    ['config.json', { id2label: { 0: 'a', 2: 'b' } }, 'id2label: labels numbered from 0 without gaps'],
    ['preprocessor_config.json', { ...tinyPreprocessor, do_resize: 'no' }, 'do_resize: '],
    ['model.json', { task: 'x', labels: '../labels.txt' }, 'labels: a list of labels, or a file in the folder'],
    [
      'model.json',
      { task: 'x', preprocessing: { ...tinyPreprocessor, do_tile: true } },
      'preprocessing.do_tile: not supported',
    ],
    ['model.json', { task: 'x', sha256: { 'onnx/model.onnx': 'abc' } }, 'sha256.onnx/model.onnx: 64 hex'],
    ['preprocessor_config.json', { ...tinyPreprocessor, resample: 5 }, 'resample: '],
    ['preprocessor_config.json', { ...tinyPreprocessor, image_std: [1, 1] }, 'image_std: three numbers, or one'],
    ['preprocessor_config.json', { ...tinyPreprocessor, do_tile: true }, 'do_tile: not supported'],
    ['preprocessor_config.json', { ...tinyPreprocessor, size: { edge: 9 } }, 'size: {height, width}'],
    [
      'preprocessor_config.json',
      { ...tinyPreprocessor, do_image_splitting: true },
      'do_image_splitting: not supported without',
    ],
    ['preprocessor_config.json', { ...tinyPreprocessor, do_pan_and_scan: true }, 'do_pan_and_scan: not supported'],
    ['preprocessor_config.json', { ...tinyPreprocessor, size_divisor: 32 }, 'size_divisor: not supported'],
    ['preprocessor_config.json', { architecture: 'resnet50' }, 'missing, and so is pretrained_cfg'],
    [
      'preprocessor_config.json',
      { ...tinyPreprocessor, do_center_crop: true, crop_size: 32 },
      'crop_size: no larger than size',
    ],
    ['tokenizer.json', { model: { type: 'Telepathy' } }, 'model.type: WordPiece'],
    ['tokenizer_config.json', null, 'tokenizer_config.json is missing beside tokenizer.json'],
    ['tokenizer_config.json', { model_max_length: 'long' }, 'model_max_length: '],
  ])('names the file and the field that is wrong (%s, %j)', async (file, content, complaint) => {
    const location = await write({ [file]: content })
    const error: unknown = await readModelFolder(location).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'model_unavailable' })
    expect(error instanceof Error && error.message).toContain(complaint)
    expect(error instanceof Error && error.message).toContain(`tiny/1/${file}`)
  })

  it('names what is wrong with each of several files', async () => {
    const location = await write({
      'model.json': {},
      'preprocessor_config.json': { ...tinyPreprocessor, do_tile: true },
    })
    await expect(readModelFolder(location)).rejects.toMatchObject({
      detail: expect.stringMatching(/model\.json: task: .*preprocessor_config\.json: do_tile: not supported/),
    })
  })

  it('says that a file is no JSON', async () => {
    const location = await write()
    await writeFile(join(location.folder, 'config.json'), '{')
    await expect(readModelFolder(location)).rejects.toMatchObject({ detail: 'tiny/1/config.json is no JSON.' })
  })

  it('lets fields pass that are switched off', async () => {
    const location = await write({ 'preprocessor_config.json': { ...tinyPreprocessor, do_pad: false, pad: null } })
    expect(await readModelFolder(location)).toMatchObject({ preprocessing: { do_pad: false } })
  })

  it('understands an edge and a centre crop', async () => {
    const { preprocessing } = await readModelFolder(
      await write({
        'preprocessor_config.json': {
          size: { shortest_edge: 20 },
          do_center_crop: true,
          crop_size: { height: 16, width: 12 },
          resample: 3,
          do_normalize: false,
        },
      }),
    )
    expect(preprocessing === null ? null : toPreprocessing(preprocessing)).toMatchObject({
      resize: { width: 20, height: 20, fit: 'cover' },
      width: 12,
      height: 16,
      kernel: 'cubic',
    })
  })
})

describe('loading', () => {
  const load = async (location: { name: string; version: string; folder: string }): Promise<void> => {
    const model = await loadModel({ ...location, intraOpThreads: 1, maxImagePixels: 1e6 })
    await model.close()
  }

  it.each([
    ['an unknown task', { 'model.json': { task: 'time-travel' } }, 'there are: visual-question-answering'],
    ['no preprocessing', { 'preprocessor_config.json': null }, 'needs preprocessor_config.json'],
    ['no tokenizer', { 'tokenizer.json': null }, 'needs tokenizer.json'],
    ['no labels', { 'config.json': {} }, 'needs id2label in config.json'],
    [
      'another number of labels',
      { 'config.json': { id2label: { 0: 'a' } } },
      'as many labels in config.json or model.json (1) as logits has (4)',
    ],
    [
      'another image size',
      { 'preprocessor_config.json': { ...tinyPreprocessor, size: { height: 8, width: 16 } } },
      'its preprocessing (preprocessor_config.json or model.json) makes [3, 8, 16], pixel_values takes [3, 16, 16]',
    ],
    [
      'a padding token that is no token',
      { 'tokenizer_config.json': { pad_token: '<pad>' } },
      'pad_token: <pad> is not in tokenizer.json',
    ],
  ])('refuses %s, saying so', async (_, files, complaint) => {
    const location = await write(files)
    await expect(load(location)).rejects.toMatchObject({
      code: 'model_unavailable',
      detail: expect.stringContaining(complaint),
    })
  })

  it('refuses a file that is no graph', async () => {
    await expect(load(await write({}, Uint8Array.from([1, 2, 3])))).rejects.toMatchObject({
      detail: 'onnx/model.onnx is no ONNX file, or cut off: it has 3 bytes. Fetch it again.',
    })
  })

  it('runs a graph whose batch is fixed to one, one job at a time', async () => {
    const location = await write({}, tinyGraph({ batch: 1 }))
    const model = await loadModel({ ...location, intraOpThreads: 1, maxImagePixels: 1e6 })
    expect(model.manifest).toMatchObject({ maxBatchSize: 1, labels: tinyLabels })
    await model.close()
  })
})

it('tells what it does while it loads, before it does it: files, each graph, each run', async () => {
  const told: string[] = []
  const model = await loadModel({ ...(await write()), intraOpThreads: 1, maxImagePixels: 1e6 }, async (step) => {
    told.push(step.at === null ? step.step : `${step.step} ${step.at}/${step.of}`)
  })
  expect(model.manifest.graphVariants).toEqual({ model: 'fp32' })
  await model.close()
  expect(told.slice(0, 3)).toEqual(['reading', 'opening 1/1', expect.stringMatching(/^warming_up 1\/\d+$/)])
  expect(told.at(-1)).toMatch(/^warming_up (\d+)\/\1$/)
})
