import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterEach, beforeEach, expect, test } from 'vitest'

const run = promisify(execFile)
const script = fileURLToPath(new URL('install-if-needed.mjs', import.meta.url))
const lock = `lockfileVersion: '9.0'\n\nimporters:\n\n  .:\n    dependencies: {}\n\n  apps/api:\n    dependencies: {}\n\npackages:\n`

let folder: string

/** A workspace of two packages, installed. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vision-queue-install-'))
  await put('pnpm-lock.yaml', lock)
  await put('node_modules/.pnpm/lock.yaml', lock)
  await put('package.json', JSON.stringify({ devDependencies: { tsx: '1' } }))
  await put('node_modules/tsx/package.json', '{}')
  await put('apps/api/package.json', JSON.stringify({ dependencies: { '@hono/node-server': '1' } }))
  await put('apps/api/node_modules/@hono/node-server/package.json', '{}')
  await put('bin/npx', `#!/bin/sh\necho "$*" >>'${folder}/calls'\nexit "\${NPX_EXIT:-0}"\n`)
  await chmod(join(folder, 'bin/npx'), 0o755)
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true })
  await writeFile(join(folder, path), text)
}

/** What the script has asked npx for; '' if nothing. */
async function asked(env: Record<string, string> = {}): Promise<string> {
  const path = [join(folder, 'bin'), process.env['PATH'] ?? ''].join(delimiter)
  await run(process.execPath, [script], { cwd: folder, env: { PATH: path, ...env } })
  return await readFile(join(folder, 'calls'), 'utf8').catch(() => '')
}

test('where everything is installed, no package manager is started', async () => {
  expect(await asked()).toBe('')
})

test.each<[string, () => Promise<void>]>([
  ['nothing is installed', async () => await rm(join(folder, 'node_modules'), { recursive: true })],
  ['the lockfile has changed since', async () => await put('pnpm-lock.yaml', `${lock}\n# another version`)],
  [
    'a package of the workspace lacks what it names',
    async () => await rm(join(folder, 'apps/api/node_modules'), { recursive: true }),
  ],
])('where %s, the pinned pnpm installs what the lockfile says', async (_, change) => {
  await change()
  expect(await asked()).toMatch(/^--yes --prefer-offline pnpm@[\d.]+ install --frozen-lockfile --prefer-offline\n$/)
})

test('an install that fails is an exit code and a sentence', async () => {
  await rm(join(folder, 'node_modules'), { recursive: true })
  await expect(asked({ NPX_EXIT: '7' })).rejects.toMatchObject({
    code: 7,
    stderr: expect.stringContaining('could not be installed'),
  })
})
