import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

/**
 * How many cores' worth of time this process has: the cores that it may run on (`taskset`, cpusets, which
 * Node counts) or, where it is less, the quota of its control group or of one above it (`docker run --cpus`,
 * Kubernetes' limits, systemd's CPUQuota), which Node 20's libuv doesn't look at. A quota is rounded down, at
 * least to 1: threads beyond it are all stopped together until the period ends, and what a fraction leaves
 * is used by decoding. Files are read at each call. `root` and `runnable` are for tests.
 */
export function availableCores({ root = '/', runnable = availableParallelism() } = {}): number {
  const quotas = readGroups(root).flatMap((group) => quotasOf(root, group))
  return Math.max(1, Math.min(runnable, ...quotas.map(Math.floor)))
}

interface Group {
  /** Where the controllers' files may be mounted. */
  mounts: string[]
  path: string
  read: (folder: string) => number | null
}

/** The groups of this process that limit its CPU time, from lines like `4:cpu,cpuacct:/a/b` and `0::/a/b`. */
function readGroups(root: string): Group[] {
  const lines = (readText(join(root, 'proc/self/cgroup')) ?? '').split('\n')
  return lines.flatMap((line): Group[] => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (controllers === undefined || path === undefined) return []
    if (controllers === '') return [{ mounts: ['', 'unified'], path, read: readVersion2 }]
    if (!controllers.split(',').includes('cpu')) return []
    return [{ mounts: [controllers, 'cpu', 'cpu,cpuacct'], path, read: readVersion1 }]
  })
}

/**
 * The quotas of a group and of all above it. In a container the path may be the host's, whose folders
 * aren't there; the container's own group is then what is mounted.
 */
function quotasOf(root: string, { mounts, path, read }: Group): number[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '..')
  const folders = Array.from({ length: parts.length + 1 }, (_, depth) => parts.slice(0, depth).join('/'))
  return mounts
    .flatMap((mount) => folders.map((folder) => read(join(root, 'sys/fs/cgroup', mount, folder))))
    .filter((quota) => quota !== null)
}

/** `cpu.max`: `<quota or max> <period>`, in microseconds (the kernel's cgroup-v2.rst). */
function readVersion2(folder: string): number | null {
  const [quota, period] = (readText(join(folder, 'cpu.max')) ?? '').trim().split(' ').map(Number)
  return toCores(quota, period)
}

/** A quota of -1 is none (the kernel's sched-bwc.rst). */
function readVersion1(folder: string): number | null {
  const [quota, period] = ['cpu.cfs_quota_us', 'cpu.cfs_period_us'].map((file) => {
    const text = readText(join(folder, file))
    return text === null ? undefined : Number(text)
  })
  return toCores(quota, period)
}

function toCores(quota = NaN, period = NaN): number | null {
  return quota > 0 && period > 0 ? quota / period : null
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // No control groups here, or not of this version.
    return null
  }
}
