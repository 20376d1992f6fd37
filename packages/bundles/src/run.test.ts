import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { bundlePath } from './bundle-file.cjs'

const runner = fileURLToPath(new URL('run.cjs', import.meta.url))

let folder: string
let entry: string
let bundles: string

/** A program of two modules and a file of JSON, not yet bundled. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vision-queue-bundles-'))
  entry = join(folder, 'program.ts')
  bundles = join(folder, 'bundles')
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  await writeFile(join(folder, 'part.ts'), `export const part: string = 'first'\n`)
  await writeFile(join(folder, 'data.json'), '{"number":1}')
  await writeFile(
    entry,
    [
      `import data from './data.json' with { type: 'json' }`,
      `import { part } from './part.ts'`,
      'interface Line { argv: string[] }',
      'const line: Line = { argv: process.argv.slice(1) }',
      `console.log(JSON.stringify({ ...line, part, number: data.number, url: import.meta.url }))`,
      `if (process.argv[2] === 'throw') throw new Error('as asked')`,
      `if (process.argv[2] === 'compile') new Function('return 1')`,
    ].join('\n'),
  )
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

interface Run {
  stdout: string
  stderr: string
  failed: boolean
}

async function run(args: string[] = [], env: Record<string, string> = {}, execArgv: string[] = []): Promise<Run> {
  const options = { env: { PATH: process.env['PATH'] ?? '', BUNDLES: bundles, ...env } }
  return new Promise((resolve) => {
    execFile(process.execPath, [...execArgv, runner, entry, ...args], options, (error, stdout, stderr) => {
      resolve({ stdout, stderr, failed: error !== null })
    })
  })
}

/** What the program says of itself. */
async function said(args?: string[], env?: Record<string, string>): Promise<unknown> {
  const { stdout, stderr } = await run(args, env)
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

const expected = (changed: object = {}): object => {
  return { argv: [entry], part: 'first', number: 1, url: pathToFileURL(entry).href, ...changed }
}

/** Differs once the bundle was written again. */
async function writtenAt(): Promise<string> {
  const { ino, mtimeNs } = await stat(bundlePath(bundles, entry), { bigint: true })
  return `${ino} ${mtimeNs}`
}

test('a program sees its arguments and its place as if Node ran it, from its bundle and without one', async () => {
  const seen = expected({ argv: [entry, 'a', 'b c'] })
  expect(await said(['a', 'b c'])).toEqual(seen)
  expect(await said(['a', 'b c'])).toEqual(seen)
  expect(await said(['a', 'b c'], { BUNDLES: 'off' })).toEqual(seen)
  expect(await readdir(bundles)).toHaveLength(1)
})

test('a bundle is made again when a source has other contents, and not when it is only newer', async () => {
  await said()
  const first = await writtenAt()
  await utimes(join(folder, 'part.ts'), new Date(), new Date())
  expect(await said()).toEqual(expected())
  expect(await writtenAt()).toBe(first)

  // Of the same length, and as old as before.
  const { atime, mtime } = await stat(join(folder, 'part.ts'))
  await writeFile(join(folder, 'part.ts'), `export const part: string = 'other'\n`)
  await utimes(join(folder, 'part.ts'), atime, mtime)
  expect(await said()).toEqual(expected({ part: 'other' }))
  expect(await writtenAt()).not.toBe(first)

  await writeFile(join(folder, 'data.json'), '{"number":2}')
  expect(await said()).toEqual(expected({ part: 'other', number: 2 }))
})

test('a source that is gone is missed at once', async () => {
  await said()
  await rm(join(folder, 'part.ts'))
  const { failed, stderr } = await run()
  expect(failed).toBe(true)
  expect(stderr).toContain('part.ts')
})

test.each([
  ['cut short', (text: string) => text.slice(0, -100)],
  ['empty', () => ''],
  ['changed in its middle', (text: string) => text.replace('first', 'wrong')],
  ['without its first line', (text: string) => text.slice(text.indexOf('\n') + 1)],
])('a bundle that is %s is made again', async (_, damage) => {
  await said()
  const path = bundlePath(bundles, entry)
  await writeFile(path, damage(await readFile(path, 'utf8')))
  const damaged = await writtenAt()
  expect(await said()).toEqual(expected())
  expect(await writtenAt()).not.toBe(damaged)
})

test('of starts at the same time all run, and the bundle is made once and whole', async () => {
  const all = await Promise.all(Array.from({ length: 4 }, async () => said()))
  expect(all).toEqual(Array.from({ length: 4 }, () => expected()))
  const path = bundlePath(bundles, entry)
  expect(await readdir(bundles)).toEqual([path.slice(bundles.length + 1)])
  const made = await writtenAt()
  await said()
  expect(await writtenAt()).toBe(made)
})

test('a lock of a process that was killed holds nobody up', async () => {
  await mkdir(bundles)
  const killed = execFile(process.execPath, ['-e', ''])
  await once(killed, 'exit')
  await writeFile(`${bundlePath(bundles, entry)}.lock`, String(killed.pid))
  expect(await said()).toEqual(expected())
  expect(await readdir(bundles)).toHaveLength(1)
})

test('where nothing can be kept a program runs all the same, and says why it is slower', async () => {
  await writeFile(bundles, 'no folder')
  const { stdout, stderr } = await run()
  expect(JSON.parse(stdout)).toEqual(expected())
  expect(stderr).toMatch(/program\.ts starts slower than it could: no bundle can be made of it \(.*bundles/)
})

test('what can not be bundled runs all the same', async () => {
  await writeFile(join(folder, 'part.ts'), `export const part: string = await Promise.resolve('awaited')\n`)
  const { stdout, stderr } = await run()
  expect(JSON.parse(stdout)).toEqual(expected({ part: 'awaited' }))
  expect(stderr).toContain('Top-level await')
  expect(await readdir(bundles)).toEqual([])
})

test('a program that is no .ts file runs without a bundle', async () => {
  await rename(entry, join(folder, 'program.mts'))
  entry = join(folder, 'program.mts')
  expect(await said()).toEqual(expected())
  await expect(readdir(bundles)).rejects.toThrow('ENOENT')
})

test('an error names the line of the source', async () => {
  await run()
  const { stderr, failed } = await run(['throw'])
  expect(failed).toBe(true)
  expect(stderr).toContain(`${entry}:6:`)
})

test('what Node forbids a program stays forbidden', async () => {
  await run()
  const { stderr, failed } = await run(['compile'], {}, ['--disallow-code-generation-from-strings'])
  expect(failed).toBe(true)
  expect(stderr).toContain('EvalError')
})
