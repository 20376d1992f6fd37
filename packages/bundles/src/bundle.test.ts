import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { keyOf, root } from './bundle-file.cjs'
import { bundle } from './bundle.ts'

const programs = [
  'apps/api/src/main.ts',
  'apps/consumer/src/main.ts',
  'apps/cli/src/main.ts',
  'apps/server/src/main.ts',
  'infra/local/start.ts',
  'packages/engine/src/engine-process.ts',
  'packages/engine/src/provider-probe-process.ts',
]

function read(path: string): Uint8Array {
  return readFileSync(path)
}

describe.each(programs)('the bundle of %s', (program) => {
  test('depends on each of its sources and on what decides how they are bundled', async () => {
    const text = await bundle(join(root, program), join(root, 'node_modules/.cache/test.cjs'))
    const header: { key: string; inputs: string[] } = JSON.parse(text.slice(2, text.indexOf('\n')))
    const map: { sources: string[] } = JSON.parse(
      Buffer.from(text.slice(text.lastIndexOf('base64,') + 'base64,'.length), 'base64').toString(),
    )
    const ours = map.sources
      .map((source) => join('node_modules/.cache', source))
      .filter((source) => source.endsWith('.ts'))
    expect(ours).toContain(program)
    expect(header.inputs).toEqual(expect.arrayContaining([...ours, 'pnpm-lock.yaml', 'packages/bundles/src/bundle.ts']))

    expect(keyOf(header.inputs, read)).toBe(header.key)
    // Hashing megabytes hundreds of times would take a minute: names stand for contents, and of the dependencies two do.
    const named = (path: string): Uint8Array => Buffer.from(path)
    const before = keyOf(header.inputs, named)
    const dependencies = header.inputs.filter((input) => input.includes('node_modules/'))
    const tried = [...header.inputs.filter((input) => !input.includes('node_modules/')), ...dependencies.slice(-2)]
    const blind = tried.filter((input) => {
      const changed = (path: string): Uint8Array => (path === join(root, input) ? Buffer.from('changed') : named(path))
      return keyOf(header.inputs, changed) === before
    })
    expect(dependencies.length).toBeGreaterThan(2)
    expect(blind).toEqual([])
  })
})
