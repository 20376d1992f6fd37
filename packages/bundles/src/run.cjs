// @ts-check
// Runs a TypeScript program of ours: `node run.cjs <file> [arguments]`. It is run from its bundle, which is made first
// where there is none of the sources as they are now, or, where none can be made or kept, by tsx.
const { spawnSync } = require('node:child_process')
const { mkdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const { dirname, join, resolve } = require('node:path')
const { pathToFileURL } = require('node:url')

const { bundlePath, cacheFolders, isFresh } = require('./bundle-file.cjs')

/** Far longer than a bundle takes on a busy machine. Who waits longer for another's makes it, too. */
const buildMs = 120_000

/** The program's bundle; null if there can be none. @param {string} entry */
function findBundle(entry) {
  const paths = cacheFolders().map((folder) => bundlePath(folder, entry))
  if (paths.length === 0) return null
  const fresh = paths.find(isFresh)
  if (fresh !== undefined) return fresh
  /** @type {unknown} */
  let failure
  for (const path of paths) {
    try {
      mkdirSync(dirname(path), { recursive: true })
      buildOnce(entry, path)
      return path
    } catch (error) {
      failure = error
    }
  }
  const reason = failure instanceof Error ? failure.message : String(failure)
  process.stderr.write(`${entry} starts slower than it could: no bundle can be made of it (${reason.trim()}).\n`)
  return null
}

/** Of those that start at the same time one makes the bundle. @param {string} entry @param {string} path */
function buildOnce(entry, path) {
  const lock = `${path}.lock`
  for (const until = Date.now() + buildMs; !takeLock(lock);) {
    if (Date.now() > until) break
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 25)
    if (isFresh(path)) return
  }
  try {
    const args = ['--import', pathToFileURL(require.resolve('tsx')).href, join(__dirname, 'build.ts'), entry, path]
    const { status, stderr, error } = spawnSync(process.execPath, args, { encoding: 'utf8', env: buildEnv() })
    if (error !== undefined) throw error
    if (status !== 0) throw new Error(stderr)
  } finally {
    rmSync(lock, { force: true })
  }
}

function buildEnv() {
  const { NODE_OPTIONS: _, ...env } = process.env
  return env
}

/** @param {string} lock */
function takeLock(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    return isLeft(lock)
  }
}

/** Whether who took the lock was killed. @param {string} lock */
function isLeft(lock) {
  try {
    const pid = Number(readFileSync(lock, 'utf8'))
    // It is written in a moment.
    if (pid === 0) return false
    process.kill(pid, 0)
    return false
  } catch (error) {
    // ENOENT: it has just been given back.
    return error instanceof Error && 'code' in error && error.code === 'ESRCH'
  }
}

/** @param {string} entry */
async function runByTsx(entry) {
  const { register } = await import('tsx/esm/api')
  register()
  await import(pathToFileURL(entry).href)
}

const entry = resolve(process.argv[2] ?? '')
// The program shall see what it would see without us.
process.argv.splice(1, 2, entry)
// Others than .ts are no programs of ours but made up for one run, such as by a test.
const bundle = entry.endsWith('.ts') ? findBundle(entry) : null
if (bundle === null) void runByTsx(entry)
else {
  process.setSourceMapsEnabled(true)
  require(bundle)
}
