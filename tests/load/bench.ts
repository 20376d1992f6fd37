import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { startSystem, type System } from '@vision-queue/test-support/system'

import type { BareOptions, BareReport } from './bare-loop.ts'
import { childrenOf, cpuSeconds } from './cpu-times.ts'
import type { LoadOptions, LoadReport } from './load-generator.ts'

/**
 * `pnpm bench`: jobs per second, latency and CPU time of the whole service against the bare loop, on
 * the same cores, in the same run; writes docs/benchmarks.md. The two take turns, and the bare
 * loop's best figure counts, so that the comparison errs in its favour.
 */
const clientCounts = [1, 8, 64]
const secondsPerRun = 8
const bareImages = 3000
const root = fileURLToPath(new URL('../../', import.meta.url))

async function runScript<Report>(script: string, options: object): Promise<Report> {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', path, JSON.stringify(options)], {
    cwd: root,
    maxBuffer: 1 << 20,
  })
  return JSON.parse(stdout)
}

interface BareResult extends BareOptions {
  rate: number
  cpuMs: number
  processes: number
}

async function measureBare(options: BareOptions, processes: number): Promise<BareResult> {
  const share = { ...options, images: Math.ceil(options.images / processes) }
  const reports = await Promise.all(
    Array.from({ length: processes }, async () => runScript<BareReport>('bare-loop.ts', share)),
  )
  const images = reports.reduce((sum, report) => sum + report.images, 0)
  return {
    ...options,
    processes,
    rate: reports.reduce((sum, report) => sum + report.images / report.seconds, 0),
    cpuMs: (reports.reduce((sum, report) => sum + report.cpuSeconds, 0) / images) * 1000,
  }
}

interface ServiceResult extends LoadReport {
  clients: number
  rate: number
  /** CPU milliseconds per job, by process. */
  cpu: { api: number; redis: number; consumer: number; engines: number }
  meanBatch: number
}

async function measureService(system: System, clients: number): Promise<ServiceResult> {
  const [api] = system.apis
  const [consumer] = system.consumers
  if (api === undefined || consumer === undefined) throw new Error('The system is not complete')
  const engines = childrenOf(consumer.pid)
  const read = (): number[] => [
    cpuSeconds(api.pid),
    cpuSeconds(system.redis.pid),
    cpuSeconds(consumer.pid),
    engines.reduce((sum, pid) => sum + cpuSeconds(pid), 0),
  ]
  const load: LoadOptions = { url: system.url, clients, seconds: secondsPerRun }
  await runScript<LoadReport>('load-generator.ts', { ...load, seconds: 2 })
  const before = read()
  const report = await runScript<LoadReport>('load-generator.ts', load)
  const [apiMs = 0, redis = 0, consumerMs = 0, enginesMs = 0] = read().map(
    (after, index) => ((after - (before[index] ?? 0)) / report.jobs) * 1000,
  )
  return {
    ...report,
    clients,
    rate: report.jobs / report.seconds,
    cpu: { api: apiMs, redis, consumer: consumerMs, engines: enginesMs },
    meanBatch: await meanBatchSize(system.url),
  }
}

async function meanBatchSize(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  let jobs = 0
  let batches = 0
  for (const [, size, count] of text.matchAll(/^vision_queue_batches_total\{.*batch_size="(\d+)".*\} (\d+)/gm)) {
    jobs += Number(size) * Number(count)
    batches += Number(count)
  }
  return jobs / batches
}

function markdown(bare: BareResult[], service: ServiceResult[]): string {
  const best = Math.max(...bare.filter(({ processes }) => processes === 1).map(({ rate }) => rate))
  const bestOfTwo = Math.max(...bare.map(({ rate }) => rate))
  const versions: Record<string, string> = JSON.parse(
    readFileSync(`${root}packages/model-runtime/package.json`, 'utf8'),
  ).dependencies
  const table = (head: string[], rows: (string | number)[][]): string =>
    [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
  const ms = (value: number): string => value.toFixed(2)
  return `# Benchmarks

Written by \`pnpm bench\` on ${new Date().toISOString().slice(0, 10)}: Node ${process.versions.node}, ${cpus().length} cores (${cpus()[0]?.model.trim()}), onnxruntime-node ${versions['onnxruntime-node']}, sharp ${versions['sharp']}. Redis without persistence, on the same cores, as are the clients. Absolute figures of a shared machine vary by 2-3x between runs; the shares of one run are steadier.

## The limit: decoding and running in a bare loop
shapes-vqa on its example pictures (320x240 to 1280x720), no HTTP, no Redis, no messages.

${table(
  ['processes', 'threads a run', 'batch size', 'images/s', 'CPU ms/image'],
  bare.map((row) => [row.processes, row.intraOpThreads, row.batchSize, row.rate.toFixed(0), ms(row.cpuMs)]),
)}

## The service, end to end
Each client posts a picture as a raw body with \`Prefer: wait\` and waits for its answer; ${secondsPerRun} s a row.

${table(
  [
    'clients',
    'jobs/s',
    'of the best bare process',
    'of the best bare loop',
    'p50 ms',
    'p95 ms',
    'p99 ms',
    'errors',
    'mean batch so far',
  ],
  service.map((row) => [
    row.clients,
    row.rate.toFixed(0),
    `${((row.rate / best) * 100).toFixed(0)} %`,
    `${((row.rate / bestOfTwo) * 100).toFixed(0)} %`,
    row.p50.toFixed(1),
    row.p95.toFixed(1),
    row.p99.toFixed(1),
    row.errors,
    row.meanBatch.toFixed(1),
  ]),
)}

CPU milliseconds per job, by process; the engines' share holds decoding and inference, the clients' is not the service's.

${table(
  ['clients', 'API', 'Redis', 'consumer', 'engines', 'sum', 'load generator'],
  service.map((row) => [
    row.clients,
    ms(row.cpu.api),
    ms(row.cpu.redis),
    ms(row.cpu.consumer),
    ms(row.cpu.engines),
    ms(row.cpu.api + row.cpu.redis + row.cpu.consumer + row.cpu.engines),
    ms((row.cpuSeconds / (row.jobs + row.errors)) * 1000),
  ]),
)}
`
}

async function main(): Promise<void> {
  const system = await startSystem()
  const bare: BareResult[] = []
  const service: ServiceResult[] = []
  try {
    for (const clients of clientCounts) {
      for (const intraOpThreads of [1, 2]) {
        const batchSize = { 1: 8, 8: 16, 64: 32 }[clients] ?? 8
        bare.push(await measureBare({ images: bareImages, batchSize, intraOpThreads }, 1))
        console.log('bare loop', bare.at(-1))
      }
      bare.push(await measureBare({ images: bareImages, batchSize: 8, intraOpThreads: 1 }, 2))
      console.log('bare loop', bare.at(-1))
      service.push(await measureService(system, clients))
      console.log('service', service.at(-1))
    }
  } finally {
    await system.stop()
  }
  const text = markdown(bare, service)
  writeFileSync(`${root}docs/benchmarks.md`, text)
  console.log(`\n${text}`)
}

await main()
