import { copyFile, cp, link, mkdir, mkdtemp, realpath, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { findProgram, need, needRoot, root, run } from './commands.ts'

/** Where no systemd and no container engine runs: storage by overlay, runc instead of crun, cgroups by hand. */
const storage = ['--storage-driver', 'overlay']
const podmanOptions = [...storage, '--runtime', 'runc', '--cgroup-manager', 'cgroupfs']
/** Kept between runs, because making it takes minutes. */
const cache = join(tmpdir(), 'vision-queue-proofs')

/** The image that `FROM docker.io/library/node:20-slim` means where no registry of images is reached. */
export const nodeImage = 'docker.io/library/node:20-slim'

/** Rejects with Skipped where images can't be built and run. */
export async function needContainers(): Promise<void> {
  needRoot('images are built and run without a daemon')
  await need('buildah', 'podman', 'runc', 'mmdebstrap')
}

/** Makes the stand-in for Node's image of Debian packages and this machine's Node, where there is none. */
export async function makeNodeImage(): Promise<void> {
  if (await hasImage(nodeImage)) return
  const tar = await makeBase()
  const context = await mkdtemp(`${cache}-context-`)
  try {
    await link(tar, join(context, 'base.tar'))
    await copyFile(process.execPath, join(context, 'node'))
    await cp(await npmFolder(), join(context, 'npm'), { recursive: true })
    await copyFile('/etc/ssl/certs/ca-certificates.crt', join(context, 'authorities.crt'))
    await build(nodeImage, join(root, 'infra/proofs/stand-in-node.Dockerfile'), context)
  } finally {
    await rm(context, { recursive: true, force: true })
  }
}

async function makeBase(): Promise<string> {
  const tar = join(cache, 'base.tar')
  const there = await stat(tar).catch(() => null)
  if (there !== null) return tar
  await mkdir(cache, { recursive: true })
  const packages = '--include=ca-certificates,libstdc++6'
  await run('mmdebstrap', [
    '--variant=minbase',
    packages,
    'bookworm',
    `${tar}.part.tar`,
    'http://deb.debian.org/debian',
  ])
  await rename(`${tar}.part.tar`, tar)
  return tar
}

/** Where this machine's npm lies: `npm` on PATH is a link into it. */
async function npmFolder(): Promise<string> {
  const npm = await findProgram('npm')
  if (npm === null) throw new Error('npm is not on PATH.')
  return dirname(dirname(await realpath(npm)))
}

async function hasImage(name: string): Promise<boolean> {
  return await run('podman', [...podmanOptions, 'image', 'exists', name]).then(
    () => true,
    () => false,
  )
}

/** `format docker`, because OCI's drops HEALTHCHECK. */
async function build(name: string, file: string, context: string, options: readonly string[] = []): Promise<void> {
  const how = ['--isolation', 'chroot', '--format', 'docker', '--layers', '--pull-never']
  await run('buildah', [...storage, 'build', ...how, ...options, '-f', file, '-t', name, context])
}

/** Builds a target of infra/images/Dockerfile as it stands. Resolves to the image's name. */
export async function buildTarget(target: string): Promise<string> {
  const name = `localhost/vision-queue-${target}:proof`
  await build(name, join(root, 'infra/images/Dockerfile'), root, ['--target', target])
  return name
}

export async function inspectImage(name: string, format: string): Promise<string> {
  return await run('podman', [...podmanOptions, 'image', 'inspect', '--format', format, name])
}

export interface ContainerOptions {
  image: string
  env: Record<string, string>
  memoryMb: number
  cpus?: number
  /** Instead of the image's. */
  user?: string
}

export interface Container {
  /** Runs a program in it; rejects where that fails. */
  exec(...command: readonly string[]): Promise<string>
  /** What HEALTHCHECK says: rejects where it is not healthy. */
  checkHealth(): Promise<void>
  /** Sends SIGTERM; resolves to the exit code, which is 137 where SIGKILL was needed after so many seconds. */
  stop(seconds: number): Promise<number>
  startAgain(): Promise<void>
  logs(): Promise<string>
  remove(): Promise<void>
}

/** How docs/deploy.md says that containers are to be run, on the network of this machine. */
const hardened = ['--read-only', '--read-only-tmpfs=false', '--cap-drop=all', '--security-opt', 'no-new-privileges']
/** podman's own limits can't be set everywhere, and bridges need plugins. */
const local = ['--network', 'host', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=4096:4096']

async function podman(...args: readonly string[]): Promise<string> {
  return await run('podman', [...podmanOptions, ...args])
}

const variables = (env: Record<string, string>): string[] => {
  return Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`])
}

/** Runs a program of an image to its end. Resolves to what it printed. */
export async function runOnce(image: string, env: Record<string, string>, command: readonly string[]): Promise<string> {
  return await podman('run', '--rm', ...local, ...hardened, ...variables(env), image, ...command)
}

export async function startContainer(options: ContainerOptions): Promise<Container> {
  const { image, env, memoryMb, cpus = 1, user } = options
  const limits = ['--memory', `${memoryMb}m`, '--cpus', String(cpus), ...(user === undefined ? [] : ['--user', user])]
  const detached = ['--detach', '--log-driver', 'k8s-file']
  const id = await podman('run', ...detached, ...local, ...hardened, ...limits, ...variables(env), image)
  return {
    exec: async (...command) => await podman('exec', id, ...command),
    async checkHealth() {
      await podman('healthcheck', 'run', id)
    },
    async stop(seconds) {
      await podman('stop', '--time', String(seconds), id)
      return Number(await podman('inspect', '--format', '{{.State.ExitCode}}', id))
    },
    async startAgain() {
      await podman('start', id)
    },
    logs: async () => await podman('logs', id),
    async remove() {
      await podman('rm', '--force', '--time', '0', id)
    },
  }
}
