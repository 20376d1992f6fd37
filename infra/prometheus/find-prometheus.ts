import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { unpackPackages } from '@vision-queue/local/debian-packages'

const run = promisify(execFile)
const programs = ['prometheus', 'promtool', 'prometheus-alertmanager', 'amtool'] as const

/** Paths of Prometheus' programs. */
export type PrometheusPrograms = Readonly<Record<(typeof programs)[number], string>>

/** Where Debian's packages are unpacked to: beside those of Redis. */
const folder = new URL('../../.vision-queue/prometheus-package', import.meta.url).pathname

/** What is on PATH or was unpacked before; null: nothing. */
export async function findPrometheus(): Promise<PrometheusPrograms | null> {
  return (await programsIn('')) ?? (await programsIn(join(folder, 'usr/bin')))
}

/** The same, or else Debian's and Ubuntu's packages, unpacked without root. Throws where that can't be. */
export async function bringPrometheus(signal: AbortSignal): Promise<PrometheusPrograms> {
  const found = await findPrometheus()
  if (found !== null) return found
  return await unpackPackages({
    packages: ['prometheus', 'prometheus-alertmanager'],
    folder,
    open: async (tree) => programsIn(join(tree, 'usr/bin')),
    env: process.env,
    signal,
  })
}

async function programsIn(bin: string): Promise<PrometheusPrograms | null> {
  const at = (name: (typeof programs)[number]): string => (bin === '' ? name : join(bin, name))
  const paths = {
    prometheus: at('prometheus'),
    promtool: at('promtool'),
    'prometheus-alertmanager': at('prometheus-alertmanager'),
    amtool: at('amtool'),
  }
  try {
    await Promise.all(programs.map(async (name) => run(paths[name], ['--version'])))
    return paths
  } catch {
    return null
  }
}
