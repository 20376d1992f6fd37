// @ts-check
// `npm start` and `npm test` run this first. It has to be JavaScript without dependencies: nothing may be installed yet.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Whether node_modules is what the lockfile says: pnpm keeps a copy of the lockfile that it has installed, and each
 * package of the workspace has what its package.json names. Then no package manager is needed, which a user who may
 * not write to the checkout, or has no home folder, could not run.
 *
 * @param {string} root
 */
export function isInstalled(root) {
  const wanted = readText(join(root, 'pnpm-lock.yaml'))
  if (wanted === null || wanted !== readText(join(root, 'node_modules/.pnpm/lock.yaml'))) return false
  const importers = /^importers:\n(?<listed>[\s\S]*?)^\S/m.exec(wanted)?.groups?.['listed'] ?? ''
  const folders = [...importers.matchAll(/^ {2}(\S+):$/gm)].map((line) => join(root, line[1] ?? ''))
  return folders.length > 0 && folders.every((folder) => hasDependencies(folder))
}

/** @param {string} folder */
function hasDependencies(folder) {
  const text = readText(join(folder, 'package.json'))
  // A package that was taken out of this copy, such as the tests, is not asked for anything.
  if (text === null) return true
  /** @type {{ dependencies?: Record<string, string>; devDependencies?: Record<string, string> }} */
  const { dependencies = {}, devDependencies = {} } = JSON.parse(text)
  const names = [...Object.keys(dependencies), ...Object.keys(devDependencies)]
  return names.every((name) => existsSync(join(folder, 'node_modules', name)))
}

/** @param {string} path */
function readText(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

/** With the pinned pnpm. @returns {number} the exit code */
function install() {
  const args = ['--yes', '--prefer-offline', 'pnpm@12.21.0', 'install', '--frozen-lockfile', '--prefer-offline']
  const { status, error } = spawnSync('npx', args, { stdio: 'inherit', shell: process.platform === 'win32' })
  if (status === 0) return 0
  console.error(
    `node_modules is not what pnpm-lock.yaml says, and could not be installed${error === undefined ? '' : ` (${error.message})`}. ` +
      'It needs the network, and a user who may write to this folder and has a home folder.',
  )
  return status ?? 1
}

const isProgram = process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename
if (isProgram && !isInstalled(process.cwd())) process.exitCode = install()
