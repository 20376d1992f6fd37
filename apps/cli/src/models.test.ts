import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'

import { tinyPreprocessor, writeTinyModel } from '@vision-queue/models/test/tiny-model'
import { FLOAT, ints, int, model, node, value } from '@vision-queue/models/test/onnx-writer'
import { create } from 'tar'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'

const bin = fileURLToPath(new URL('../bin/vq.js', import.meta.url))
let root = ''
let count = 0

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'vq-models-'))
})
afterAll(async () => {
  await rm(root, { recursive: true })
})

async function newFolder(): Promise<string> {
  count += 1
  const folder = join(root, String(count))
  await mkdir(folder)
  return folder
}

/** A classifier as a download has it: no model.json, no folder for a version. */
async function writeClassifier(folder: string): Promise<void> {
  const graph = model(
    node('ReduceMean', ['pixel_values'], 'logits', [ints('axes', [2, 3]), int('keepdims', 0)]),
    value(11, 'pixel_values', FLOAT, ['n', 3, 16, 16]),
    value(12, 'logits', FLOAT, ['n', 3]),
  )
  const none = { 'model.json': null, 'tokenizer.json': null, 'tokenizer_config.json': null }
  const config = { architectures: ['ViTForImageClassification'], id2label: { 0: 'r', 1: 'g', 2: 'b' } }
  await writeTinyModel(folder, { ...none, 'preprocessor_config.json': tinyPreprocessor, 'config.json': config }, graph)
}

async function vq(args: string[], env: Record<string, string> = {}) {
  return new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    const options = { env: { PATH: process.env['PATH'] ?? '', HOME: root, ...env } }
    execFile(process.execPath, [bin, 'models', ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr })
    })
  })
}

/** Files by name as a ZIP archive, not compressed. */
function zip(files: Record<string, Uint8Array | string>): Buffer {
  const [local, central]: [Buffer[], Buffer[]] = [[], []]
  let at = 0
  for (const [name, content] of Object.entries(files)) {
    const data = Buffer.from(content)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt32LE(crc32(data), 10)
    common.writeUInt32LE(data.length, 14)
    common.writeUInt32LE(data.length, 18)
    common.writeUInt16LE(Buffer.byteLength(name), 22)
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(at, 10)
    const file = Buffer.concat([Buffer.from('PK\u0003\u0004'), common, Buffer.from(name), data])
    central.push(Buffer.concat([Buffer.from('PK\u0001\u0002'), Buffer.from([20, 0]), common, rest, Buffer.from(name)]))
    local.push(file)
    at += file.length
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(local.length, 4)
  end.writeUInt16LE(local.length, 6)
  end.writeUInt32LE(directory.length, 8)
  end.writeUInt32LE(at, 12)
  return Buffer.concat([...local, directory, Buffer.from('PK\u0005\u0006'), end])
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name)
}

describe('vq models add', () => {
  test('puts a downloaded folder in place, checked, never over another, and lists it', async () => {
    const [downloads, repository] = [await newFolder(), await newFolder()]
    const cache = join(downloads, 'cache')
    await writeClassifier(cache)
    await writeFile(join(cache, 'model.safetensors'), 'large')
    // As Hugging Face's cache holds them.
    const folder = join(downloads, 'ViT-Tiny')
    await mkdir(folder)
    for (const file of await readdir(cache)) await symlink(join(cache, file), join(folder, file))
    const added = await vq(['add', folder], { MODEL_REPOSITORY: repository })
    expect(added).toMatchObject({ code: 0, stdout: expect.stringContaining('vit-tiny@1: image-classification') })
    expect(added.stdout).toContain('The folder can be served.')
    expect(added.stdout).toContain("curl -F model=vit-tiny -F image=@picture.jpg -H 'Prefer: wait=10'")
    expect(added.stderr).toContain('Left out: model.safetensors')
    expect((await filesOf(join(repository, 'vit-tiny', '1'))).toSorted()).toEqual([
      'config.json',
      'model.onnx',
      'preprocessor_config.json',
    ])
    expect(await readdir(repository)).toEqual(['vit-tiny'])

    const again = await vq(['add', folder, '--repository', repository])
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('vit-tiny@1 is there already: --replace') })
    expect((await vq(['add', folder, '--repository', repository, '--replace'])).code).toBe(0)
    expect((await vq(['list', '--repository', repository])).stdout).toBe('vit-tiny@1  image-classification\n')
  })

  test('puts a bare graph in place as tensors, tells its inputs and how to ask', async () => {
    const [folder, repository] = [await newFolder(), await newFolder()]
    const graph = model(node('Relu', ['x'], 'y'), value(11, 'x', FLOAT, ['n', 4]), value(12, 'y', FLOAT, ['n', 4]))
    await writeFile(join(folder, 'some.onnx'), graph)
    const added = await vq(['add', join(folder, 'some.onnx'), '--task', 'tensors', '--repository', repository])
    expect(added).toMatchObject({ code: 0, stdout: expect.stringContaining('some@1: tensors') })
    expect(added.stdout).toContain('model input  x: float32 [any, 4]')
    expect(added.stdout).toContain('{"model": "some", "input": {"tensors": {"INPUT": {"data": [NUMBERS]}}}}')
    expect((await filesOf(join(repository, 'some', '1'))).toSorted()).toEqual(['model.json', 'model.onnx'])
    // Without the task nothing says what the graph is for.
    const other = await vq(['add', join(folder, 'some.onnx'), '--name', 'other', '--repository', repository])
    expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining('--task') })
    expect(await readdir(repository)).toEqual(['some'])
  })

  test('leaves nothing of a model that can not be served', async () => {
    const [folder, repository] = [await newFolder(), await newFolder()]
    await writeClassifier(folder)
    await writeFile(join(folder, 'onnx', 'model.onnx'), '<!doctype html><html>')
    const refused = await vq(['add', folder, '--name', 'page', '--repository', repository])
    expect(refused).toMatchObject({ code: 1, stdout: expect.stringContaining('is a web page') })
    expect(await readdir(repository)).toEqual([])
  })

  test('takes archives, whose files may lie some folders down', async () => {
    const [folder, repository] = [await newFolder(), await newFolder()]
    await writeClassifier(join(folder, 'deep', 'model'))
    await create({ file: join(folder, 'tiny.tar.gz'), gzip: true, cwd: folder }, ['deep'])
    expect((await vq(['add', join(folder, 'tiny.tar.gz'), '--repository', repository])).code).toBe(0)
    const files = await Promise.all(
      ['config.json', 'preprocessor_config.json', 'onnx/model.onnx'].map(
        async (file) => [`x/${file}`, await readFile(join(folder, 'deep', 'model', file))] as const,
      ),
    )
    await writeFile(join(folder, 'zipped.zip'), zip(Object.fromEntries(files)))
    expect((await vq(['add', join(folder, 'zipped.zip'), '--repository', repository])).code).toBe(0)
    expect((await readdir(repository)).toSorted()).toEqual(['tiny', 'zipped'])
  })

  test('unpacks nothing outside, and no more than the limit', async () => {
    const [folder, repository] = [await newFolder(), await newFolder()]
    await writeFile(join(folder, 'evil.zip'), zip({ '../../evil.txt': 'x' }))
    await writeFile(join(folder, 'large.zip'), zip({ 'large.txt': 'x'.repeat(100) }))
    await writeFile(join(folder, 'inside.txt'), 'x')
    await create({ file: join(folder, 'evil.tar'), cwd: folder, prefix: '../..', preservePaths: true }, ['inside.txt'])
    const limit = { MODELS_ADD_MAX_BYTES: '99' }
    for (const [file, env, sentence] of [
      ['evil.zip', {}, /leads out of it|invalid relative path/],
      ['evil.tar', {}, /leads out of it/],
      ['large.zip', limit, /more than 99 bytes \(MODELS_ADD_MAX_BYTES\)/],
      ['inside.txt', {}, /inside\.txt is no model/],
    ] as const) {
      const refused = await vq(['add', join(folder, file), '--repository', repository], env)
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(sentence) })
    }
    expect(await readdir(repository)).toEqual([])
    expect((await filesOf(folder)).filter((file) => file === 'evil.txt')).toEqual([])
  })

  test('takes a graph out of an npm package, and says where there is none', async () => {
    const [folder, repository] = [await newFolder(), await newFolder()]
    await writeClassifier(join(folder, 'package', 'assets'))
    await writeFile(join(folder, 'package', 'package.json'), JSON.stringify({ name: '@tiny/models', version: '1.2.3' }))
    await create({ file: join(folder, 'models.tgz'), gzip: true, cwd: folder }, ['package'])
    const tarball = await readFile(join(folder, 'models.tgz'))
    const server = createServer((request, response) => {
      const { host = '' } = request.headers
      if (request.url?.endsWith('.tgz') === true) response.end(tarball)
      else if (request.url?.toLowerCase() === '/@tiny%2fmodels') {
        const dist = { tarball: `http://${host}/models.tgz` }
        const version = { name: '@tiny/models', version: '1.2.3', dist }
        response.end(
          JSON.stringify({ name: '@tiny/models', 'dist-tags': { latest: '1.2.3' }, versions: { '1.2.3': version } }),
        )
      } else response.writeHead(404).end('{}')
    })
    await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done))
    onTestFinished(() => void server.close())
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const env = { npm_config_registry: `http://127.0.0.1:${port}/`, npm_config_cache: join(folder, 'cache') }
    const add = async (source: string, ...options: string[]) =>
      vq(['add', source, '--repository', repository, ...options], env)
    expect((await add('npm:@tiny/models@1.2.3/assets', '--name', 'whole')).code).toBe(0)
    expect(await add('npm:@tiny/models/assets/onnx/model.onnx')).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('there is no config.json. Write model.json'),
    })
    expect(await add('npm:@tiny/models/other')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Its graphs: npm:@tiny/models/assets/onnx/model.onnx'),
    })
    expect(await add('npm:@tiny/nothing/a')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('The npm package @tiny/nothing can not be had'),
    })
    expect(await readdir(repository)).toEqual(['whole'])
  })

  test('adds a folder that names a server, without asking it, and lists it as what it is', async () => {
    const [folder, repository] = [await newFolder(), await newFolder()]
    const engine = { kind: 'openai', url: 'http://127.0.0.1:9', model: 'big' }
    await writeFile(join(folder, 'model.json'), JSON.stringify({ engine }))
    const added = await vq(['add', folder, '--name', 'far', '--repository', repository])
    expect([added.code, added.stdout]).toEqual([0, expect.stringContaining('image-text-to-text, run as big by')])
    expect((await vq(['list', '--repository', repository])).stdout).toBe('far@1  image-text-to-text\n')
  })

  test("says how a model of Hugging Face's hub is fetched", async () => {
    const repository = await newFolder()
    const said = await vq(['add', 'Xenova/vit-base-patch16-224', '--repository', repository])
    expect(said).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /hf download Xenova\/vit-base-patch16-224 .*\n.*vq models add vit-base-patch16-224\n/,
      ),
    })
    expect((await vq(['add', 'x', '--name', 'Not A Name'])).code).toBe(2)
  })
})
