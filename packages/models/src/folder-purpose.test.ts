import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { FLOAT, INT64, model, node, value } from '../test/onnx-writer.ts'
import { findModel, listModels, locateFolder, toModelName } from './find-model.ts'
import { fingerprintFolder } from './fingerprint.ts'
import { findGraphs, inspectGraph } from './graph-files.ts'
import { readModelFolder } from './model-folder.ts'

let root = ''
let folders = 0
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'purpose-'))
})
afterAll(async () => {
  await rm(root, { recursive: true })
})

async function write(files: Record<string, unknown>): Promise<string> {
  folders += 1
  const folder = join(root, `model-${folders}`)
  for (const [file, content] of Object.entries(files)) {
    const path = join(folder, file)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(
      path,
      content instanceof Uint8Array || typeof content === 'string' ? content : JSON.stringify(content),
    )
  }
  return folder
}

/** A graph of these names, which computes nothing. */
function graph(inputs: string[], outputs: string[]): Uint8Array {
  const types: Record<string, number> = { input_ids: INT64, attention_mask: INT64 }
  return model(
    ...outputs.map((output) => node('Identity', [inputs[0] ?? ''], output)),
    ...inputs.map((name) => value(11, name, types[name] ?? FLOAT, ['n', 'any'])),
    ...outputs.map((name) => value(12, name, FLOAT, ['n', 'any'])),
  )
}
const image = graph(['pixel_values'], ['logits'])
const tasks = ['image-classification', 'image-to-text', 'zero-shot-image-classification', 'image-feature-extraction']
const read = async (files: Record<string, unknown>, known: string[] | null = tasks) =>
  readModelFolder({ name: 'tiny', version: '1', folder: await write(files) }, known)

describe('what a folder without model.json is for', () => {
  it.each([
    ['ViTForImageClassification', { 'onnx/model.onnx': image }, 'image-classification'],
    ['ResNetForImageClassification', { 'model.onnx': image }, 'image-classification'],
    ['DeiTForImageClassificationWithTeacher', { 'onnx/model_q4.onnx': image }, 'image-classification'],
    ['CLIPModel', { 'onnx/model.onnx': image }, 'zero-shot-image-classification'],
    [
      'Siglip2Model',
      { 'onnx/text_model.onnx': image, 'onnx/vision_model.onnx': image },
      'zero-shot-image-classification',
    ],
    ['CLIPModel', { 'onnx/vision_model.onnx': image }, 'image-feature-extraction'],
    ['CLIPVisionModelWithProjection', { 'onnx/model.onnx': image }, 'image-feature-extraction'],
    ['Dinov2Model', { 'onnx/model.onnx': image }, 'image-feature-extraction'],
    [null, { 'onnx/model.onnx': graph(['pixel_values'], ['last_hidden_state']) }, 'image-feature-extraction'],
    [
      null,
      { 'onnx/model.onnx': graph(['input_ids', 'pixel_values'], ['logits_per_image']) },
      'zero-shot-image-classification',
    ],
    [null, { 'onnx/model.onnx': image }, 'image-classification'],
    [
      'VisionEncoderDecoderModel',
      { 'onnx/encoder_model.onnx': image, 'onnx/decoder_model_merged.onnx': image },
      'image-to-text',
    ],
  ])('%s', async (architecture, files, task) => {
    const config = architecture === null ? { model_type: 'any' } : { architectures: [architecture] }
    expect(await read({ 'config.json': config, ...files })).toMatchObject({ task, settings: { max_batch_size: 32 } })
  })

  it('model.json goes before it', async () => {
    const config = { architectures: ['ViTForImageClassification'] }
    const files = { 'config.json': config, 'model.json': { task: 'other' }, 'model.onnx': image }
    expect(await read(files, null)).toMatchObject({ task: 'other' })
  })

  it.each([
    ['RTDetrForObjectDetection', { 'onnx/model.onnx': image }, 'object-detection'],
    ['Owlv2ForObjectDetection', { 'onnx/model.onnx': image }, 'zero-shot-object-detection'],
    ['SegformerForSemanticSegmentation', { 'onnx/model.onnx': image }, 'image-segmentation'],
    ['DepthAnythingForDepthEstimation', { 'onnx/model.onnx': image }, 'depth-estimation'],
    ['SamModel', { 'onnx/vision_encoder.onnx': image }, 'mask-generation'],
    ['LlavaForConditionalGeneration', { 'onnx/vision_encoder.onnx': image }, 'image-text-to-text'],
    [null, { 'onnx/vision_encoder.onnx': image, 'onnx/embed_tokens.onnx': image }, 'image-text-to-text'],
    [null, { 'onnx/model.onnx': graph(['pixel_values'], ['logits', 'pred_boxes']) }, 'object-detection'],
    ['BertForSequenceClassification', { 'onnx/model.onnx': image }, 'text-classification'],
  ])('%s is refused as the task it is, before anything else is judged', async (architecture, files, task) => {
    const config = architecture === null ? {} : { architectures: [architecture] }
    const folder = { 'config.json': config, 'preprocessor_config.json': { size: 'odd' }, ...files }
    await expect(read(folder)).rejects.toMatchObject({
      detail: expect.stringMatching(
        new RegExp(`^tiny/1 is a model for ${task} .*, a task that this release does not have; it has: image-cl`),
      ),
    })
    // As soon as the release has it, it is served as that.
    await expect(read(folder, [...tasks, task])).rejects.toMatchObject({ detail: expect.stringContaining('size: ') })
  })

  it.each([
    [
      { 'model.onnx': image },
      /model\.json is missing, and there is no config\.json\. Write model\.json .*model takes pixel_values and gives logits\.$/,
    ],
    [
      { 'config.json': { architectures: ['FooModel'] }, 'model.onnx': graph(['pixel_values'], ['scores']) },
      /config\.json does not say what the model is for \(architectures: FooModel\)\. Write model\.json with the task, such as \{"task": "image-classification"\}, one of: image-classification,/,
    ],
    [
      { 'genai_config.json': {}, 'model.onnx': image },
      /is a folder for onnxruntime-genai \(genai_config\.json; graphs model\)/,
    ],
    [
      { 'config.json': {}, 'model.safetensors': 'x' },
      /only weights of another form \(model\.safetensors\).*optimum-cli export onnx/,
    ],
    [
      { 'config.json': {}, 'onnx/model_q2.onnx': image },
      /graphs of a form that ONNX Runtime does not run: model_q2\.onnx/,
    ],
    [{ 'config.json': {} }, /no graph is here: put model\.onnx/],
    [
      { 'config.json': '<!DOCTYPE html><html>', 'model.onnx': image },
      /tiny\/1\/config\.json is a web page.*\/resolve\//,
    ],
  ])('is refused with what to do: %#', async (files, sentence) => {
    await expect(read(files)).rejects.toMatchObject({ detail: expect.stringMatching(sentence) })
  })
})

const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 12345\n`

describe('a file that is no graph', () => {
  it.each([
    ['', 'is empty: fetch it again.'],
    [pointer, 'is a Git LFS pointer to a file of 12345 bytes, not the file itself: run `git lfs pull`'],
    ['\n<!doctype html>\n<html class="">', 'is a web page'],
    ['Entry not found', 'is the answer of a server that did not hand out the file ("Entry not found")'],
    [image.subarray(0, image.length - 5), `is no ONNX file, or cut off: it has ${image.length - 5} bytes`],
    ['nothing', 'is no ONNX file, or cut off'],
  ])('%j', async (content, sentence) => {
    const folder = await write({ 'onnx/model.onnx': content })
    await expect(inspectGraph(join(folder, 'onnx', 'model.onnx'))).rejects.toMatchObject({
      detail: expect.stringContaining(`onnx/model.onnx ${sentence}`),
    })
  })
})

describe('variants', () => {
  it('are told by the end of the name, of each graph; int8 goes before quantized', async () => {
    const names = ['model', 'model_fp16', 'model_quantized', 'model_int8', 'model_uint8', 'model_q4', 'model_q4f16']
    const files = [...names, 'model_bnb4', 'text_model_quantized', 'model_q2'].map((name) => [
      `onnx/${name}.onnx`,
      image,
    ])
    const { graphs, unknown } = await findGraphs(await write(Object.fromEntries(files)))
    const own = graphs.filter(({ name }) => name === 'model')
    expect(own.map(({ variant }) => variant)).toEqual(['fp32', 'fp16', 'int8', 'uint8', 'q4', 'q4f16', 'bnb4'])
    expect(own.find(({ variant }) => variant === 'int8')?.path).toMatch(/model_int8\.onnx$/)
    expect(graphs.filter(({ name }) => name === 'text_model')).toMatchObject([{ variant: 'int8' }])
    expect(unknown).toEqual(['model_q2.onnx'])
  })
})

describe('a folder without folders for versions', () => {
  it('is version 1, as it comes: its files at the root or in onnx', async () => {
    const repository = await write({
      'clip/config.json': {},
      'clip/onnx/model.onnx': image,
      'clip/0_CLIPModel/config.json': {},
      'plain/model.onnx': image,
      'shapes/2/onnx/model.onnx': image,
      'shapes/config.json': {},
      'empty/notes.txt': 'x',
    })
    expect(await listModels(repository)).toEqual(['clip', 'plain', 'shapes'])
    expect(await findModel(repository, 'clip', null)).toMatchObject({ version: '1', folder: join(repository, 'clip') })
    expect(await findModel(repository, 'plain', '1')).toMatchObject({ folder: join(repository, 'plain') })
    expect(await findModel(repository, 'shapes', null)).toMatchObject({ version: '2' })
    expect(await locateFolder(join(repository, 'clip'))).toMatchObject({ name: 'clip', version: '1' })
    expect(await locateFolder(join(repository, 'shapes', '2'))).toMatchObject({ name: 'shapes', version: '2' })
  })

  it('gets a name that models may have', () => {
    expect(['SmolVLM-256M-Instruct', 'ViT Base/16', '.hidden_', '___'].map(toModelName)).toEqual([
      'smolvlm-256m-instruct',
      'vit-base-16',
      'hidden',
      'model',
    ])
  })
})

describe('the fingerprint', () => {
  it('follows links, and leaves hidden files out', async () => {
    const [one, two] = [await write({ 'model.onnx': 'one', '.git/x': '1' }), await write({ 'model.onnx': 'two' })]
    const { symlink } = await import('node:fs/promises')
    const links = [await write({ 'config.json': {} }), await write({ 'config.json': {} })]
    await symlink(join(one, 'model.onnx'), join(links[0] ?? '', 'model.onnx'))
    await symlink(join(two, 'model.onnx'), join(links[1] ?? '', 'model.onnx'))
    const [first, second] = await Promise.all(links.map(fingerprintFolder))
    expect(first).not.toBe(second)
    const before = await fingerprintFolder(one)
    await writeFile(join(one, '.git', 'x'), '2')
    expect(await fingerprintFolder(one)).toBe(before)
  })
})
