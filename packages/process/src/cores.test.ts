import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { afterEach, describe, expect, it } from 'vitest'

import { availableCores } from './cores.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function cores(runnable: number, files: Record<string, string>): number {
  const root = mkdtempSync(join(tmpdir(), 'cores-'))
  folders.push(root)
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), `${text}\n`)
  }
  return availableCores({ root, runnable })
}

it('are those of this machine, at most', () => {
  expect(availableCores()).toBeGreaterThanOrEqual(1)
  expect(availableCores()).toBeLessThanOrEqual(availableParallelism())
})

it('are what the process may run on where there are no control groups', () => {
  expect(cores(6, {})).toBe(6)
  expect(cores(6, { 'proc/self/cgroup': 'nonsense\n0::' })).toBe(6)
})

describe('version 2', () => {
  const inContainer = { 'proc/self/cgroup': '0::/' }

  it.each([
    ['max 100000', 8],
    ['200000 100000', 2],
    ['250000 100000', 2],
    ['50000 100000', 1],
    ['1600000 100000', 8],
    ['', 8],
  ])('%s of 8 cores are %i', (quota, expected) => {
    expect(cores(8, { ...inContainer, 'sys/fs/cgroup/cpu.max': quota })).toBe(expected)
  })

  it('takes the least of a group and those above it', () => {
    const files = {
      'proc/self/cgroup': '0::/pods/one/app',
      'sys/fs/cgroup/pods/cpu.max': '600000 100000',
      'sys/fs/cgroup/pods/one/cpu.max': '300000 100000',
      'sys/fs/cgroup/pods/one/app/cpu.max': 'max 100000',
    }
    expect(cores(8, files)).toBe(3)
  })

  it('looks at what is mounted where the path is the host’s', () => {
    expect(cores(8, { 'proc/self/cgroup': '0::/../host/abc', 'sys/fs/cgroup/cpu.max': '400000 100000' })).toBe(4)
  })
})

describe('version 1', () => {
  const groups = '9:name=systemd:/\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/docker/abc\n0::/'

  it.each([
    ['cpu,cpuacct/docker/abc', '150000', 1],
    ['cpu,cpuacct', '500000', 5],
    ['cpu', '300000', 3],
    ['cpu,cpuacct/docker/abc', '-1', 8],
  ])('%s: %s', (folder, quota, expected) => {
    const files = {
      'proc/self/cgroup': groups,
      [`sys/fs/cgroup/${folder}/cpu.cfs_quota_us`]: quota,
      [`sys/fs/cgroup/${folder}/cpu.cfs_period_us`]: '100000',
    }
    expect(cores(8, files)).toBe(expected)
  })
})
