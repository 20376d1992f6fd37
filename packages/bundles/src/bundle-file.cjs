// @ts-check
// JavaScript, because it decides whether TypeScript has to be compiled. Types: bundle-file.d.cts.
const { createHash } = require('node:crypto')
const { readFileSync } = require('node:fs')
const { homedir } = require('node:os')
const { basename, join, resolve } = require('node:path')

const root = resolve(__dirname, '../../..')
const start = '//'

/** @type {typeof import('./bundle-file.cjs').bundlePath} */
function bundlePath(folder, entry) {
  const id = sha256(`${root}\n${entry}`).slice(0, 12)
  return join(folder, `${basename(entry, '.ts')}-${id}.cjs`)
}

/** @type {typeof import('./bundle-file.cjs').cacheFolders} */
function cacheFolders() {
  const given = process.env['BUNDLES']
  if (given) return given === 'off' ? [] : [resolve(given)]
  const caches = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  return [join(root, 'node_modules/.cache/vision-queue'), join(caches, 'vision-queue/bundles')]
}

/** @type {typeof import('./bundle-file.cjs').bundleEnv} */
function bundleEnv() {
  const { BUNDLES } = process.env
  return BUNDLES === undefined ? {} : { BUNDLES }
}

/** @type {typeof import('./bundle-file.cjs').keyOf} */
function keyOf(inputs, read) {
  const hash = createHash('sha256').update(root)
  for (const input of inputs) {
    const content = read(join(root, input))
    hash.update(`\n${input} ${content === null ? 'missing' : content.length}\n`)
    if (content !== null) hash.update(content)
  }
  return hash.digest('hex')
}

/** @type {typeof import('./bundle-file.cjs').isFresh} */
function isFresh(path) {
  const text = readOrNull(path)
  if (text === null) return false
  const end = text.indexOf('\n') + 1
  try {
    const { key, inputs, digest } = JSON.parse(text.toString('utf8', start.length, end))
    return digest === sha256(text.subarray(end)) && key === keyOf(inputs, readOrNull)
  } catch {
    return false
  }
}

/** @type {typeof import('./bundle-file.cjs').withHeader} */
function withHeader(header, body) {
  return `${start}${JSON.stringify({ ...header, digest: sha256(body) })}\n${body}`
}

/** @param {string | Uint8Array} content */
function sha256(content) {
  return createHash('sha256').update(content).digest('hex')
}

/** @param {string} path */
function readOrNull(path) {
  try {
    return readFileSync(path)
  } catch {
    return null
  }
}

module.exports = { root, bundleEnv, bundlePath, cacheFolders, isFresh, keyOf, withHeader }
