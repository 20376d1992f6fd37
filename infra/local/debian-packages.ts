import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

interface Options<Program> {
  packages: readonly string[]
  /** Where they are unpacked to. Two processes may do so at once: both end up with one whole tree. */
  folder: string
  /** What a tree holds, where it is complete and runs on this system; else null. */
  open: (tree: string) => Promise<Program | null>
  env: Record<string, string | undefined>
  signal: AbortSignal
}

/**
 * Debian and Ubuntu: downloads packages with whatever they need that the system lacks, and unpacks them,
 * all without root and without installing anything. Throws with apt's own words where that fails.
 */
export async function unpackPackages<Program>(options: Options<Program>): Promise<Program> {
  const { packages, folder, open, env, signal } = options
  await mkdir(dirname(folder), { recursive: true })
  const work = await mkdtemp(`${folder}-`)
  try {
    const tree = join(work, 'tree')
    await mkdir(tree)
    for (const file of await downloadPackages(packages, work, env, signal)) {
      await run('dpkg', ['-x', file, tree], { env, signal })
    }
    if ((await open(tree)) === null) throw new Error(`${packages.join(', ')}: what was unpacked does not run here`)
    await putInPlace(tree, options)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  const program = await open(folder)
  if (program === null) throw new Error(`what lies in ${folder} does not run`)
  return program
}

/**
 * The folders of a tree's libraries, for LD_LIBRARY_PATH: Debian puts them into one per architecture,
 * `usr/lib/x86_64-linux-gnu`.
 */
export async function libraryPath(tree: string): Promise<string> {
  const found = await Promise.all(['lib', 'usr/lib'].map(async (name) => withFoldersInside(join(tree, name))))
  return found.flat().join(delimiter)
}

/** Nothing where the folder isn't there. */
async function withFoldersInside(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => null)
  if (entries === null) return []
  return [folder].concat(entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name)))
}

/** One rename, so that nobody ever sees half a tree. */
async function putInPlace<Program>(tree: string, { folder, open }: Options<Program>): Promise<void> {
  try {
    await rename(tree, folder)
  } catch {
    // Something lies there: another process was faster, or it is an old tree that no longer runs.
    if ((await open(folder)) !== null) return
    await rename(folder, `${tree}-old`)
    await rename(tree, folder)
  }
}

/** With the system's package lists; where they are missing or out of date, with fresh ones of our own. */
async function downloadPackages(
  packages: readonly string[],
  work: string,
  env: Record<string, string | undefined>,
  signal: AbortSignal,
): Promise<string[]> {
  const apt = async (args: readonly string[]): Promise<string> => {
    const options = { cwd: work, env: { ...env, LC_ALL: 'C' }, signal, maxBuffer: 16 * 1024 * 1024 }
    return (await run('apt-get', args, options)).stdout
  }
  const download = async (config: readonly string[]): Promise<void> => {
    const plan = await apt([...config, '--simulate', '--no-install-recommends', 'install', ...packages])
    await apt([...config, 'download', ...packagesToFetch(plan)])
  }
  try {
    await download([])
  } catch {
    signal.throwIfAborted()
    const config = ['--config-file', await writePrivateConfig(work)]
    await apt([...config, 'update'])
    await download(config)
  }
  const files = await readdir(work)
  return files.filter((file) => file.endsWith('.deb')).map((file) => join(work, file))
}

/**
 * What apt would install, without the C library: it must be the one that belongs to the system's loader.
 * `Inst libjemalloc2 (5.3.0-1 Debian:12/stable [amd64])`
 */
function packagesToFetch(plan: string): string[] {
  const packages = [...plan.matchAll(/^Inst (\S+) /gm)].flatMap(([, name]) => (name === undefined ? [] : [name]))
  return packages.filter((name) => !/^libc(6|-bin)(:|$)/.test(name))
}

/**
 * apt.conf(5): state and cache in a folder of ours, which needs no root; and none of the hooks that the
 * system runs after an update, which are about the system's own lists.
 */
async function writePrivateConfig(work: string): Promise<string> {
  const [lists, cache] = [join(work, 'lists'), join(work, 'cache')]
  await mkdir(join(lists, 'partial'), { recursive: true })
  await mkdir(join(cache, 'archives/partial'), { recursive: true })
  const lines = [
    `Dir::State::lists "${lists}";`,
    `Dir::Cache "${cache}";`,
    'APT::Sandbox::User "root";',
    'Acquire::Languages "none";',
    'Acquire::Retries "2";',
    '#clear APT::Update::Pre-Invoke;',
    '#clear APT::Update::Post-Invoke;',
    '#clear APT::Update::Post-Invoke-Success;',
  ]
  const path = join(work, 'apt.conf')
  await writeFile(path, `${lines.join('\n')}\n`)
  return path
}
