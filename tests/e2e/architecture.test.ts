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
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !file.startsWith('test-support'))
      .map((file) => join(folder, file))
  })
}

function importers(library: string): string[] {
  const pattern = new RegExp(`from '${library}(/[^']*)?'`)
  const found = [...sources('apps'), ...sources('packages')].filter((file) =>
    pattern.test(readFileSync(join(root, file), 'utf8')),
  )
  return [...new Set(found.map((file) => file.split('/').slice(0, 2).join('/')))]
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

describe('only one package knows each library', () => {
  test.each([
    ['bullmq', 'packages/transport'],
    ['ioredis', 'packages/transport'],
    ['onnxruntime-node', 'packages/model-runtime'],
    ['sharp', 'packages/model-runtime'],
    ['hono', 'apps/api'],
  ])('%s is imported by %s alone', (library, home) => {
    expect(importers(library)).toEqual([home])
  })

  test('the contract imports nothing but zod', () => {
    const imported = sources('packages')
      .filter((file) => file.startsWith('packages/jobs/'))
      .flatMap((file) =>
        [...readFileSync(join(root, file), 'utf8').matchAll(/from '([^'.][^']*)'/g)].map(([, name]) => name),
      )
    expect([...new Set(imported)]).toEqual(['zod'])
  })
})

describe('the environment', () => {
  test('is read nowhere but where a process starts', () => {
    const readers = [...sources('apps'), ...sources('packages')].filter((file) =>
      readFileSync(join(root, file), 'utf8').includes('process.env'),
    )
    expect(readers.filter((file) => !/(main|run-consumer|engine-pool|engine-child)\.ts$/.test(file))).toEqual([])
  })
})
