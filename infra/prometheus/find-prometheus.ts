import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { unpackPackages } from '@vision-queue/local/debian-packages'

const run = promisify(execFile)
const programs = ['prometheus', 'promtool', 'prometheus-alertmanager', 'amtool'] as const

/** Paths of Prometheus' programs, and the words that start Alertmanager. */
export interface PrometheusPrograms {
  prometheus: string
  promtool: string
  amtool: string
  alertmanager: readonly [string, ...string[]]
}

/** Where Debian's Alertmanager looks for its templates, unpacked or not. */
const template = '/usr/share/prometheus/alertmanager/default.tmpl'
/** Puts the unpacked tree over the system's, for this one process: needs no root, where the kernel has user namespaces. */
const overlay =
  'mount -t overlay overlay -o "lowerdir=$0/usr/share:/usr/share" /usr/share && exec "$0/usr/bin/prometheus-alertmanager" "$@"'

/** Where Debian's packages are unpacked to: beside those of Redis. */
const folder = new URL('../../.vision-queue/prometheus-package', import.meta.url).pathname

/** What is on PATH or was unpacked before; null: nothing. */
export async function findPrometheus(): Promise<PrometheusPrograms | null> {
  return (await programsIn('')) ?? (await programsIn(folder))
}

/** The same, or else Debian's and Ubuntu's packages, unpacked without root. Throws where that can't be. */
export async function bringPrometheus(signal: AbortSignal): Promise<PrometheusPrograms> {
  const found = await findPrometheus()
  if (found !== null) return found
  return await unpackPackages({
    packages: ['prometheus', 'prometheus-alertmanager'],
    folder,
    open: programsIn,
    env: process.env,
    signal,
  })
}

/** @param tree Where the packages are unpacked; '' stands for what is on PATH. */
async function programsIn(tree: string): Promise<PrometheusPrograms | null> {
  const at = (name: (typeof programs)[number]): string => (tree === '' ? name : join(tree, 'usr/bin', name))
  try {
    await Promise.all(programs.map(async (name) => run(at(name), ['--version'])))
  } catch {
    return null
  }
  const isInstalled = await access(template).then(
    () => true,
    () => false,
  )
  return {
    prometheus: at('prometheus'),
    promtool: at('promtool'),
    amtool: at('amtool'),
    alertmanager:
      tree === '' || isInstalled
        ? [at('prometheus-alertmanager')]
        : ['unshare', '--map-root-user', '--mount', 'sh', '-c', overlay, tree],
  }
}
