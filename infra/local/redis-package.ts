import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A Redis of our own: the program and the folders of the libraries that came with it. */
export interface UnpackedRedis {
  path: string
  /** For LD_LIBRARY_PATH. */
  libraryPath: string
}

/** The unpacked package from an earlier time, if it is there and runs on this system; needs no network. */
export async function unpackedRedis(folder: string): Promise<UnpackedRedis | null> {
  const libraryFolders = await foldersIn(folder, ['lib', 'usr/lib'])
  const redis: UnpackedRedis = {
    path: join(folder, 'usr/bin/redis-server'),
    libraryPath: libraryFolders.join(delimiter),
  }
  try {
    await run(redis.path, ['--version'], { env: { LD_LIBRARY_PATH: redis.libraryPath } })
    return redis
  } catch {
    return null
  }
}

/** These folders and the ones in them: Debian puts libraries into one per architecture, `usr/lib/x86_64-linux-gnu`. */
async function foldersIn(root: string, names: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    names.map(async (name) => {
      const entries = await readdir(join(root, name), { withFileTypes: true }).catch(() => null)
      if (entries === null) return []
      const inside = entries.filter((entry) => entry.isDirectory()).map((entry) => join(root, name, entry.name))
      return [join(root, name), ...inside]
    }),
  )
  return found.flat()
}

interface Options {
  /** Where it is unpacked to. Two processes may do so at once: both end up with one whole tree. */
  folder: string
  env: Record<string, string | undefined>
  signal: AbortSignal
}

/**
 * Debian and Ubuntu: downloads redis-server with whatever it needs that the system lacks, and unpacks
 * it, all without root and without installing anything. Throws with apt's own words where that fails.
 */
export async function unpackRedisPackage({ folder, env, signal }: Options): Promise<UnpackedRedis> {
  await mkdir(dirname(folder), { recursive: true })
  const work = await mkdtemp(`${folder}-`)
  try {
    const tree = join(work, 'tree')
    for (const file of await downloadPackages(work, env, signal)) {
      await run('dpkg', ['-x', file, tree], { env, signal })
    }
    if ((await unpackedRedis(tree)) === null) throw new Error('the redis-server of the package does not run here')
    await putInPlace(tree, folder)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  const redis = await unpackedRedis(folder)
  if (redis === null) throw new Error(`what lies in ${folder} does not run`)
  return redis
}

/** One rename, so that nobody ever sees half a tree. */
async function putInPlace(tree: string, folder: string): Promise<void> {
  try {
    await rename(tree, folder)
  } catch {
    // Something lies there: another process was faster, or it is an old tree that no longer runs.
    if ((await unpackedRedis(folder)) !== null) return
    await rename(folder, `${tree}-old`)
    await rename(tree, folder)
  }
}

/** With the system's package lists; where they are missing or out of date, with fresh ones of our own. */
async function downloadPackages(
  work: string,
  env: Record<string, string | undefined>,
  signal: AbortSignal,
): Promise<string[]> {
  const apt = async (args: readonly string[]): Promise<string> => {
    const options = { cwd: work, env: { ...env, LC_ALL: 'C' }, signal, maxBuffer: 16 * 1024 * 1024 }
    return (await run('apt-get', args, options)).stdout
  }
  const download = async (config: readonly string[]): Promise<void> => {
    const plan = await apt([...config, '--simulate', '--no-install-recommends', 'install', 'redis-server'])
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
