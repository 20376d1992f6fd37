import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The source files of all packages in `apps` or `packages`, tests and their support left out. */
function sources(group: string): string[] {
  return readdirSync(join(root, group)).flatMap((name) => {
    const folder = join(group, name, 'src')
    return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !/(^|\/)test-support\//.test(file))
      .map((file) => join(folder, file))
  })
}

/** The only file of the pool that loads a model. */
const inProcess = 'packages/engine-pool/src/in-process.ts'
const everySource = [...sources('apps'), ...sources('packages')]
const roomOf = (file: string): string => file.split('/').slice(0, 2).join('/')

/** The names in a file's import and export statements that are not relative, node's own left out. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  const named = [...text.matchAll(/(?:from |import\(|^import )'([^'.][^']*)'/gm)].map(([, name = '']) => name)
  return named.filter((name) => !name.startsWith('node:'))
}

function importers(library: string): string[] {
  const found = everySource.filter((file) =>
    importsOf(file).some((name) => name === library || name.startsWith(`${library}/`)),
  )
  return [...new Set(found.map(roomOf))]
}

/** Our own packages that a room imports: `engine`, `queue`, ... */
function ownImports(room: string): string[] {
  const names = everySource
    .filter((file) => roomOf(file) === room)
    .flatMap(importsOf)
    .filter((name) => name.startsWith('@vision-queue/'))
    .map((name) => name.split('/')[1] ?? '')
    .filter((name) => !room.endsWith(`/${name}`))
  return [...new Set(names)].toSorted()
}

describe('docs/path-of-a-job.md', () => {
  test('names only files that exist', () => {
    const text = readFileSync(join(root, 'docs/path-of-a-job.md'), 'utf8')
    const links = [...text.matchAll(/\]\(([^)#]+)\)/g)].map(([, link = '']) => link)
    expect(links.length).toBeGreaterThan(10)
    expect(
      links.filter((link) => !existsSync(join(root, 'docs', dirname(link), link.split('/').at(-1) ?? ''))),
    ).toEqual([])
  })
})

describe('only one room knows each library', () => {
  test.each([
    ['bullmq', ['packages/bullmq-batching', 'packages/queue']],
    // Of the batching backend, types only: it works on the connection that it is given.
    ['ioredis', ['packages/bullmq-batching', 'packages/redis']],
    ['onnxruntime-node', ['packages/engine']],
    ['sharp', ['packages/engine']],
    ['hono', ['apps/api']],
    ['eventsource-parser', ['packages/remote-engine']],
  ])('%s is imported by %s alone', (library, homes) => {
    expect(importers(library)).toEqual(homes)
  })
})

describe('the arrows between the rooms', () => {
  // A room that is not named here has no arrows to keep.
  test.each([
    ['packages/protocol', []],
    ['packages/process', ['protocol']],
    ['packages/tracing', ['process']],
    ['packages/models', ['process', 'protocol']],
    ['packages/redis', ['process', 'protocol']],
    ['packages/bullmq-batching', []],
    ['packages/blobs', ['bullmq-batching', 'process', 'protocol', 'redis']],
    ['packages/queue', ['blobs', 'bullmq-batching', 'process', 'protocol', 'redis']],
    ['packages/image-header', []],
    ['packages/engine', ['blobs', 'image-header', 'models', 'process', 'protocol']],
    ['packages/engine-pool', ['bundles', 'engine', 'models', 'process', 'protocol']],
    ['packages/remote-engine', ['engine', 'engine-pool', 'image-header', 'models', 'process', 'protocol']],
    ['packages/bundles', []],
    ['packages/guarded-fetch', []],
    [
      'apps/api',
      ['blobs', 'guarded-fetch', 'image-header', 'models', 'process', 'protocol', 'queue', 'redis', 'tracing'],
    ],
    [
      'apps/consumer',
      ['blobs', 'engine-pool', 'models', 'process', 'protocol', 'queue', 'redis', 'remote-engine', 'tracing'],
    ],
    ['apps/server', ['api', 'consumer', 'process', 'redis']],
  ])('%s imports %j and nothing else of ours', (room, allowed) => {
    expect(ownImports(room).filter((name) => !allowed.includes(name))).toEqual([])
  })

  test('the batching backend opens no connection: of ioredis it imports types only', () => {
    const files = everySource.filter((file) => roomOf(file) === 'packages/bullmq-batching')
    const lines = files.flatMap((file) => readFileSync(join(root, file), 'utf8').match(/^.*from 'ioredis'/gm) ?? [])
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.filter((line) => !line.startsWith('import type '))).toEqual([])
  })

  test('the intake knows no door, nor HTTP', () => {
    const intake = everySource.filter((file) => file.startsWith('apps/api/src/intake/'))
    expect(intake.length).toBeGreaterThan(5)
    const known = intake.filter((file) => /from '\.\.\/doors\/|from 'hono/.test(readFileSync(join(root, file), 'utf8')))
    expect(known).toEqual([])
  })

  test('the protocol imports zod and nothing else', () => {
    const imported = everySource.filter((file) => roomOf(file) === 'packages/protocol').flatMap(importsOf)
    expect([...new Set(imported)]).toEqual(['zod'])
  })

  test('of the engine, the pool sees its messages only, but for the file that runs one in its own process', () => {
    const files = everySource.filter((file) => roomOf(file) === 'packages/engine-pool' && file !== inProcess)
    const seen = files.flatMap(importsOf).filter((name) => name.startsWith('@vision-queue/engine/'))
    expect(seen.filter((name) => !name.endsWith('/messages'))).toEqual([])
    expect(importsOf(inProcess)).toContain('@vision-queue/engine/parts')
  })

  test('what a consumer loads of the pool and the engine has neither ONNX Runtime nor the image library', () => {
    const reached = new Set<string>()
    const open = ['packages/engine-pool/src/index.ts', 'packages/engine/src/messages.ts']
    for (let file = open.pop(); file !== undefined; file = open.pop()) {
      if (reached.has(file)) continue
      reached.add(file)
      const text = readFileSync(join(root, file), 'utf8')
      for (const [, type, name = ''] of text.matchAll(/^(?:import|export) (type )?.*?from '(\.[^']+)'/gms)) {
        if (type === undefined) open.push(join(dirname(file), name))
      }
    }
    expect([...reached]).toContain('packages/engine-pool/src/run-pool.ts')
    expect([...reached]).not.toContain(inProcess)
    const libraries = [...reached].flatMap(importsOf)
    expect(libraries.filter((name) => name === 'onnxruntime-node' || name === 'sharp')).toEqual([])
  })

  test('no app runs a model in its own process', () => {
    const apps = everySource.filter((file) => file.startsWith('apps/')).flatMap(importsOf)
    expect(apps.filter((name) => name === '@vision-queue/engine-pool/in-process')).toEqual([])
  })
})

describe('the environment', () => {
  test('is read nowhere but where a process starts', () => {
    const readers = everySource.filter((file) => readFileSync(join(root, file), 'utf8').includes('process.env'))
    expect(readers.filter((file) => !/(main|run-consumer|run-server)\.ts$/.test(file))).toEqual([])
  })
})
