import { execFile, spawn } from 'node:child_process'
import { chmod, chown, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterEach, beforeEach, expect, onTestFinished, test, type TestContext } from 'vitest'

import { openDataFolder, userFolder } from './data-folder.ts'
import { freePort } from './free-port.ts'
import { createStandIns, until } from './test-support/stand-ins.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const nobody = 65_534

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vision-queue-folder-'))
  await chmod(folder, 0o755)
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

function needsRoot(context: TestContext, what: string): void {
  if (process.getuid?.() === 0) return
  console.warn(`Skipped: ${what} needs root.`)
  context.skip(`${what} needs root`)
}

/** A file system in memory, until the test has ended. */
async function mountMemory(options: string): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'vision-queue-mounted-'))
  await run('mount', ['-t', 'tmpfs', '-o', options, 'none', path])
  onTestFinished(async () => {
    await run('umount', [path])
    await rm(path, { recursive: true })
  })
  return path
}

/** What the real `npm start` says, run with this DATA_DIR by hand, when it refuses. */
async function refusal(dataDir: string): Promise<string> {
  const standIns = await createStandIns()
  onTestFinished(() => standIns.close())
  const launcher = standIns.start({ DATA_DIR: dataDir })
  expect(await launcher.exited).toBe(1)
  expect(launcher.output()).not.toMatch(/^ +at /m)
  return launcher.output()
}

test.each([
  ['file', 'is a file and not a folder'],
  ['file/below', 'is a file, or lies below one'],
])('a DATA_DIR of %s is refused in a sentence with its path and the setting', async (path, words) => {
  await writeFile(join(folder, 'file'), '')
  expect(await refusal(join(folder, path))).toContain(`[start] DATA_DIR is ${join(folder, path)}, which ${words}`)
})

test('a DATA_DIR whose parents do not exist is made', async () => {
  const path = join(folder, 'a/b/c')
  const options = { root, folder: path, given: true, env: {}, say: () => undefined }
  expect(await openDataFolder(options)).toBe(path)
  expect(await readdir(path)).toEqual([])
})

test('a DATA_DIR on a read-only file system is refused in a sentence', async (context) => {
  needsRoot(context, 'a read-only file system')
  const path = await mountMemory('ro')
  const said = await refusal(join(path, 'data'))
  expect(said).toContain(`DATA_DIR is ${join(path, 'data')}, which lies on a read-only file system`)
})

test('a DATA_DIR on a full disk is refused in a sentence', async (context) => {
  needsRoot(context, 'a full disk')
  const path = await mountMemory('size=64k')
  await writeFile(join(path, 'filler'), Buffer.alloc(64 * 1024))
  expect(await refusal(path)).toContain(`DATA_DIR is ${path}, which lies on a full disk: make room there`)
})

test('the user folders are those of the XDG specification, or below HOME', () => {
  const env = { HOME: '/home/eve' }
  expect(userFolder(env, 'XDG_STATE_HOME', '.local/state')).toBe('/home/eve/.local/state/vision-queue')
  expect(userFolder({ ...env, XDG_CACHE_HOME: '/c' }, 'XDG_CACHE_HOME', '.cache')).toBe('/c/vision-queue')
  expect(userFolder({ ...env, XDG_CACHE_HOME: 'c' }, 'XDG_CACHE_HOME', '.cache')).toBe('/home/eve/.cache/vision-queue')
})

interface Started {
  output: () => string
  exited: Promise<number | null>
  stop: () => void
}

/** `npm start` in the checkout, which belongs to root, as nobody without a home folder. */
function startAsNobody(env: Record<string, string>): Started {
  const child = spawn('npm', ['start'], {
    cwd: root,
    uid: nobody,
    gid: nobody,
    env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', MODELS: 'shapes-vqa', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += String(text)
    })
  }
  const exited = once(child, 'exit').then(() => child.exitCode)
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await exited
  })
  return { output: () => output, exited, stop: () => void child.kill('SIGTERM') }
}

async function needsForeignCheckout(context: TestContext): Promise<void> {
  needsRoot(context, 'a checkout of another user')
  const seen = await run(process.execPath, ['-e', `fs.accessSync('${root}package.json')`], { uid: nobody }).catch(
    () => null,
  )
  if (seen === null) context.skip('the checkout can not be read by other users')
}

test('a user who may not write to the checkout is told to give a DATA_DIR where there is no home folder', async (context) => {
  await needsForeignCheckout(context)
  const { output, exited } = startAsNobody({})
  expect(await exited).toBe(1)
  expect(output()).toMatch(/Neither \S+ nor \/nonexistent\/\S+ can be written by this user.*DATA_DIR=/)
  expect(output()).not.toMatch(/^ +at /m)
})

test('a user who may not write to the checkout starts all of it, with the data in the own state folder', async (context) => {
  await needsForeignCheckout(context)
  await chown(folder, nobody, nobody)
  const port = String(await freePort())
  const env = { XDG_STATE_HOME: join(folder, 'state'), XDG_CACHE_HOME: join(folder, 'cache'), PORT: port }
  const { output } = startAsNobody(env)

  await until(
    () => output().includes('Ctrl-C stops everything'),
    () => `the start; ${output()}`,
  )
  expect(output()).toContain(`the data go to ${join(folder, 'state/vision-queue')}`)
  expect(await readdir(join(folder, 'state/vision-queue'))).toContain('redis')
  expect((await fetch(`http://127.0.0.1:${port}/models`)).status).toBe(200)
})
