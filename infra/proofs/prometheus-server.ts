import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { freePort } from '@vision-queue/local/free-port'
import { createLeash } from '@vision-queue/local/leash'
import type { PrometheusPrograms } from '@vision-queue/prometheus/find-prometheus'
import { pathOf } from '@vision-queue/prometheus/rules'
import { until } from '@vision-queue/test-support/until'
import { parse, stringify } from 'yaml'
import { z } from 'zod'

/** A Prometheus with the rules that ship, an Alertmanager with the routes that ship, and a receiver of its alerts. */
export interface RunningPrometheus {
  /** The values of an expression's result, by their labels; empty where there is none. Rejects with what is wrong with it. */
  query(expression: string): Promise<Map<string, number>>
  /** Alerts that reached a receiver, as `<receiver>: <alert> <model>`. */
  received: ReadonlySet<string>
  /** The end of both logs. */
  said(): string
  stop(): Promise<void>
}

const resultSchema = z.object({
  status: z.string(),
  error: z.string().optional(),
  data: z.object({ result: z.union([z.array(z.unknown()), z.unknown()]) }).optional(),
})
const vectorSchema = z.array(
  z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) }),
)
const notificationSchema = z.object({
  receiver: z.string(),
  alerts: z.array(z.object({ status: z.string(), labels: z.record(z.string(), z.string()) })),
})

/** @param targets Addresses (host:port) by the names that prometheus.yml has for them. */
export async function startPrometheus(
  programs: PrometheusPrograms,
  targets: Readonly<Record<string, readonly string[]>>,
): Promise<RunningPrometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'vision-queue-prometheus-'))
  const leash = createLeash({ deadlineMs: 5000 })
  const started: ChildProcess[] = []
  const received = new Set<string>()
  let said = ''
  const receiver = await openReceiver(received)
  const launch = (program: string, args: readonly string[]): void => {
    const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], detached: true })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (said = `${said}${text}`.slice(-4000)))
    started.push(child)
    leash.hold(started.flatMap(({ pid }) => pid ?? []))
  }
  const stop = async (): Promise<void> => {
    for (const child of started) {
      const ended = child.exitCode === null ? once(child, 'exit') : undefined
      child.kill('SIGTERM')
      await ended
    }
    await leash.close()
    receiver.close()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const [port, alertPort] = [await freePort(), await freePort()]
    await writeFile(join(folder, 'alerts.yml'), await quickRules())
    await writeFile(join(folder, 'prometheus.yml'), await quickConfig(targets, alertPort))
    await writeFile(join(folder, 'alertmanager.yml'), await quickRoutes(receiver.url))
    await mkdir(join(folder, 'alertmanager'))
    const [alertmanager, ...words] = programs.alertmanager
    launch(alertmanager, [
      ...words,
      '--config.file=alertmanager.yml',
      '--storage.path=alertmanager',
      `--web.listen-address=127.0.0.1:${alertPort}`,
      '--cluster.listen-address=',
    ])
    launch(programs.prometheus, [
      '--config.file=prometheus.yml',
      '--storage.tsdb.path=data',
      `--web.listen-address=127.0.0.1:${port}`,
    ])
    const url = `http://127.0.0.1:${port}`
    const alerts = `http://127.0.0.1:${alertPort}/-/ready`
    await until(
      async () => (await fetch(alerts).catch(() => null))?.ok === true,
      'Alertmanager is ready',
      () => said,
    )
    await until(async () => (await fetch(`${url}/-/ready`).catch(() => null))?.ok === true, 'Prometheus is ready')
    return { query: async (expression) => queryAt(url, expression), received, said: () => said, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function queryAt(url: string, expression: string): Promise<Map<string, number>> {
  const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expression)}`)
  const { status, error, data } = resultSchema.parse(await response.json())
  if (status !== 'success') throw new Error(`${expression}: ${error}`)
  const vector = vectorSchema.parse(data?.result)
  return new Map(vector.map(({ metric, value: [, value] }) => [JSON.stringify(metric), Number(value)]))
}

/** The rules that ship, but an alert that stands for five seconds fires. */
async function quickRules(): Promise<string> {
  return (await readFile(pathOf('alerts.yml'), 'utf8')).replaceAll(/for: \d+m/g, 'for: 5s')
}

async function quickConfig(targets: Readonly<Record<string, readonly string[]>>, alertPort: number): Promise<string> {
  const schema = z.looseObject({ scrape_configs: z.array(z.looseObject({ job_name: z.string() })) })
  const config = schema.parse(parse(await readFile(pathOf('prometheus.yml'), 'utf8')))
  return stringify({
    ...config,
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    alerting: { alertmanagers: [{ static_configs: [{ targets: [`127.0.0.1:${alertPort}`] }] }] },
    scrape_configs: config.scrape_configs.map(({ job_name: name }) => {
      return { job_name: name, static_configs: [{ targets: targets[name] ?? [] }] }
    }),
  })
}

/** The routes that ship, but every receiver is one of ours. */
async function quickRoutes(receiver: string): Promise<string> {
  const schema = z.looseObject({ route: z.looseObject({}), receivers: z.array(z.looseObject({ name: z.string() })) })
  const config = schema.parse(parse(await readFile(pathOf('alertmanager.yml'), 'utf8')))
  return stringify({
    route: { ...config.route, group_wait: '1s', group_interval: '2s' },
    receivers: config.receivers.map(({ name }) => ({ name, webhook_configs: [{ url: receiver }] })),
  })
}

async function openReceiver(received: Set<string>): Promise<{ url: string; close(): void }> {
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (piece: string) => (body += piece))
    request.on('end', () => {
      const { receiver, alerts } = notificationSchema.parse(JSON.parse(body))
      for (const { status, labels } of alerts) {
        if (status === 'firing') received.add(`${receiver}: ${labels['alertname']} ${labels['model'] ?? ''}`.trim())
      }
      response.end()
    })
  })
  const port = await freePort()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${port}`, close: () => void server.close() }
}
