import { chmod, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { pino } from 'pino'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'

import { type GpuGauge, startGpuGauge } from './gpu-gauge.ts'
import { readGpus, runNvidiaSmi } from './nvidia-smi.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vision-queue-nvidia-smi-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

/** A program of that name, of whose runs a line each is left in the file `runs`. */
async function fakeNvidiaSmi(script: string): Promise<void> {
  const path = join(folder, 'nvidia-smi')
  const next = `${path}.next`
  await writeFile(next, `#!/bin/sh\necho "$@" >> "${folder}/runs"\n${script}\n`)
  await chmod(next, 0o755)
  // Renamed over the one before it: a script that runs is not to be changed.
  await rename(next, path)
}

const env = (): Record<string, string> => ({ PATH: `${folder}${delimiter}${process.env['PATH'] ?? ''}` })

async function runs(): Promise<string[]> {
  const text = await readFile(join(folder, 'runs'), 'utf8').catch(() => '')
  return text.split('\n').filter((line) => line !== '')
}

/** As long as it takes: the test's own limit holds. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(10)
}

function start(pollMs: number): { gauge: GpuGauge; logged: () => { reason?: unknown; msg?: unknown }[] } {
  const lines: string[] = []
  const log = pino({}, { write: (line: string) => void lines.push(line) })
  const gauge = startGpuGauge({ pollMs, env: env(), log })
  onTestFinished(() => gauge.close())
  return { gauge, logged: () => lines.map((line): { reason?: unknown; msg?: unknown } => Object(JSON.parse(line))) }
}

test('several GPUs are told, with null for what a GPU does not say', async () => {
  await fakeNvidiaSmi(`cat <<'END'
0, GPU-aaaa, NVIDIA A100-SXM4-40GB, 37, 1024, 40960, 41, 61.25
1, GPU-bbbb, NVIDIA GeForce GT 710, [N/A], 100, 2048, [Not Supported], [N/A]
END`)
  const { gauge } = start(10_000)
  await until(() => gauge.read().length === 2)
  expect(gauge.read()).toEqual([
    {
      index: 0,
      uuid: 'GPU-aaaa',
      name: 'NVIDIA A100-SXM4-40GB',
      utilization: 0.37,
      memoryUsedBytes: 1024 ** 3,
      memoryTotalBytes: 40 * 1024 ** 3,
      temperatureCelsius: 41,
      powerWatts: 61.25,
    },
    {
      index: 1,
      uuid: 'GPU-bbbb',
      name: 'NVIDIA GeForce GT 710',
      utilization: null,
      memoryUsedBytes: 100 * 1024 ** 2,
      memoryTotalBytes: 2 * 1024 ** 3,
      temperatureCelsius: null,
      powerWatts: null,
    },
  ])
  expect(await runs()).toEqual([expect.stringMatching(/^--query-gpu=index,uuid,.* --format=csv,noheader,nounits$/)])
})

test('what a real nvidia-smi printed is read: driver 580.159.04, one H100 that rests', () => {
  // Byte for byte but for the uuid, which is made up.
  const printed = '0, GPU-00000000-1111-2222-3333-444444444444, NVIDIA H100 80GB HBM3, 0, 0, 81559, 35, 71.25\n'
  expect(readGpus(printed)).toEqual({
    kind: 'gpus',
    gpus: [
      {
        index: 0,
        uuid: 'GPU-00000000-1111-2222-3333-444444444444',
        name: 'NVIDIA H100 80GB HBM3',
        utilization: 0,
        memoryUsedBytes: 0,
        memoryTotalBytes: 81_559 * 1024 ** 2,
        temperatureCelsius: 35,
        powerWatts: 71.25,
      },
    ],
  })
})

test('what goes wrong is logged once however often it is tried, and is over when it goes right', async () => {
  await fakeNvidiaSmi(`echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18`)
  const { gauge, logged } = start(1)
  await until(async () => (await runs()).length > 3)
  expect(gauge.read()).toEqual([])
  expect(logged()).toMatchObject([
    {
      reason: 'Failed to initialize NVML: Driver/library version mismatch',
      msg: 'nvidia-smi does not tell of the GPUs',
    },
  ])
  await fakeNvidiaSmi(`echo "0, GPU-a, A, 1, 2, 3, 4, 5"`)
  await until(() => gauge.read().length === 1)
})

test('garbage is passed over line by line; where there is nothing else it is a failure', () => {
  const csv =
    '0, GPU-a, A, 1, 2, 3, 4, 5\nWARNING: infoROM is corrupted at gpu 0000:00:04.0\n, , ,\nx, GPU-b, B, 1, 2, 3, 4, 5\n'
  expect(readGpus(csv)).toMatchObject({ kind: 'gpus', gpus: [{ index: 0 }] })
  expect(readGpus('<html>')).toEqual({ kind: 'failed', reason: 'not understood: <html>' })
  // As when there is a driver and no GPU.
  expect(readGpus('')).toEqual({ kind: 'gpus', gpus: [] })
})

test('one that hangs is killed in time, and no second one runs beside it', async () => {
  await fakeNvidiaSmi('exec sleep 600')
  const { answer } = runNvidiaSmi(100, env())
  expect(await answer).toEqual({ kind: 'failed', reason: 'no answer within 100 ms' })
  const { gauge } = start(1)
  await until(async () => (await runs()).length === 2)
  expect(gauge.read()).toEqual([])
  // The loop is free meanwhile, and the first one still runs.
  await new Promise((resolve) => setImmediate(resolve))
  expect(await runs()).toHaveLength(2)
})

test('without nvidia-smi, and where it is switched off, nothing is run again and nothing is said', async () => {
  const absent = start(1)
  expect(await runNvidiaSmi(1000, { PATH: folder }).answer).toEqual({ kind: 'absent' })
  await fakeNvidiaSmi('echo "0, GPU-a, A, 1, 2, 3, 4, 5"')
  const off = start(0)
  expect([absent.gauge.read(), off.gauge.read(), absent.logged(), off.logged()]).toEqual([[], [], [], []])
})
