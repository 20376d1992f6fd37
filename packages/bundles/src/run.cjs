// @ts-check
// Runs a TypeScript program of ours: `node run.cjs <file> [arguments]`. It is run from its bundle, which is made first
// where there is none of the sources as they are now, or, where none can be made or kept, by tsx.
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const { dirname, join, resolve } = require('node:path')
const { setTimeout: delay } = require('node:timers/promises')
const { pathToFileURL } = require('node:url')

// Before anything else. As the first process of a container, one without a handler is not ended by SIGTERM at all, and
// loading the program takes seconds. Once the program listens itself, it decides.
const stopSignals = /** @type {const} */ (['SIGTERM', 'SIGINT'])
/** @param {NodeJS.Signals} signal */
function endBeforeStart(signal) {
  // Nothing was begun, so that nothing is to be closed.
  if (process.listenerCount(signal) === 1) process.exit(0)
}
for (const signal of stopSignals) process.on(signal, endBeforeStart)

const { bundlePath, cacheFolders, isFresh } = require('./bundle-file.cjs')

/** Far longer than a bundle takes on a busy machine. Who waits longer for another's makes it, too. */
const buildMs = 120_000

/** The program's bundle where one is fresh, else null. @param {string} entry */
function findBundle(entry) {
  return cacheFolders()
    .map((folder) => bundlePath(folder, entry))
    .find(isFresh)
}

/** Makes the program's bundle; null if there can be none. @param {string} entry */
async function makeBundle(entry) {
  const paths = cacheFolders().map((folder) => bundlePath(folder, entry))
  if (paths.length === 0) return null
  /** @type {unknown} */
  let failure
  for (const path of paths) {
    try {
      mkdirSync(dirname(path), { recursive: true })
      await buildOnce(entry, path)
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
async function buildOnce(entry, path) {
  const lock = `${path}.lock`
  for (const until = Date.now() + buildMs; !takeLock(lock);) {
    if (Date.now() > until) break
    await delay(25)
    if (isFresh(path)) return
  }
  const giveBack = () => rmSync(lock, { force: true })
  // Also where a signal ends us meanwhile.
  process.once('exit', giveBack)
  try {
    await build(entry, path)
  } finally {
    process.off('exit', giveBack)
    giveBack()
  }
}

/** @param {string} entry @param {string} path */
async function build(entry, path) {
  const args = ['--import', pathToFileURL(require.resolve('tsx')).href, join(__dirname, 'build.ts'), entry, path]
  const builder = spawn(process.execPath, args, { env: buildEnv(), stdio: ['ignore', 'ignore', 'pipe'] })
  const end = () => builder.kill('SIGKILL')
  process.once('exit', end)
  let stderr = ''
  builder.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  try {
    const [status] = await once(builder, 'close')
    if (status !== 0) throw new Error(stderr)
  } finally {
    process.off('exit', end)
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

/** @param {string} bundle */
function runBundle(bundle) {
  process.setSourceMapsEnabled(true)
  require(bundle)
}

/** @param {string} entry */
async function runWithoutBundle(entry) {
  // JavaScript is no program of ours but made up for one run, such as by a test: Node reads it as it is.
  if (/\.[cm]?js$/.test(entry)) {
    await import(pathToFileURL(entry).href)
    return
  }
  const bundle = entry.endsWith('.ts') ? await makeBundle(entry) : null
  if (bundle === null) await runByTsx(entry)
  else runBundle(bundle)
}

/** A program that has been loaded and listens to no signal is ended by it, as Node would. */
function leaveSignalsToProgram() {
  // A signal that came while the program was being loaded is heard before that.
  setImmediate(() => {
    for (const signal of stopSignals) process.off(signal, endBeforeStart)
  })
}

const entry = resolve(process.argv[2] ?? '')
// The program shall see what it would see without us.
process.argv.splice(1, 2, entry)
const fresh = entry.endsWith('.ts') ? findBundle(entry) : undefined
if (fresh === undefined) void runWithoutBundle(entry).then(leaveSignalsToProgram)
else {
  runBundle(fresh)
  leaveSignalsToProgram()
}
