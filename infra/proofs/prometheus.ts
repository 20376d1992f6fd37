import { workQuery } from '@vision-queue/kubernetes/consumers'
import { allExpressions } from '@vision-queue/prometheus/expressions'
import { bringPrometheus, type PrometheusPrograms } from '@vision-queue/prometheus/find-prometheus'
import { pathOf } from '@vision-queue/prometheus/rules'
import { forms } from '@vision-queue/test-support/client'
import { readExamples } from '@vision-queue/test-support/examples'
import { until } from '@vision-queue/test-support/until'

import { run } from './commands.ts'
import { type ObservedSystem, startObservedSystem } from './observed-system.ts'
import { checkMetrics } from './promtool-metrics.ts'
import { type RunningPrometheus, startPrometheus } from './prometheus-server.ts'
import { type Proof, Skipped } from './proof.ts'
import { checkScalingQuery } from './scaling-query.ts'

/** What ships for Prometheus, run by a real one. */
export const prometheus: Proof = {
  name: 'prometheus',
  title: 'every rule and dashboard asks what is told; figures don’t depend on the number of APIs; an alert fires',
  short: true,
  async run(say) {
    const programs = await bringPrometheus(AbortSignal.timeout(300_000)).catch((error: unknown) => {
      throw new Skipped(
        `There is no Prometheus on PATH, and none came from Debian (apt-get install prometheus prometheus-alertmanager): ${String(error)}`,
      )
    })
    say(await checkFiles(programs))
    say(await checkScalingQuery(programs.promtool))
    const observed = await startObservedSystem()
    try {
      say(await checkMetrics(programs, Object.values(observed.targets).flat()))
      const server = await startPrometheus(programs, observed.targets)
      try {
        say(await showExpressions(observed, server))
        say(await showSums(observed, server))
        say(await showAlert(observed, server))
      } finally {
        await server.stop()
      }
    } finally {
      await observed.stop()
    }
  },
}

async function checkFiles({ promtool, amtool }: PrometheusPrograms): Promise<string> {
  await run(promtool, ['check', 'config', pathOf('prometheus.yml')])
  await run(promtool, ['test', 'rules', pathOf('alerts.test.yml')])
  await run(amtool, ['check-config', pathOf('alertmanager.yml')])
  return 'promtool and amtool find rules, their tests and the routes right'
}

/** Under load, with failures, a consumer that is killed and one that takes its place. */
async function showExpressions(observed: ObservedSystem, server: RunningPrometheus): Promise<string> {
  const load = observed.startLoad()
  try {
    await until(() => load.accepted > 20, 'jobs are accepted')
    observed.consumers[0]?.signal('SIGKILL')
    await observed.replaceConsumer()
    const expressions = await allExpressions()
    expressions.set('KEDA', workQuery({ models: ['shapes-vqa', 'shapes-chat'] }))
    const open = new Map(expressions)
    await until(
      async () => {
        for (const [where, expression] of open) {
          if ((await server.query(expression)).size > 0) open.delete(where)
        }
        return open.size === 0
      },
      'every expression has a result',
      () => [...open].map(([where, expression]) => `${where}: ${expression}`).join('\n'),
    )
    return `all ${expressions.size} expressions of rules, dashboards and autoscaling have a result under load (${load.accepted} jobs)`
  } finally {
    await load.stop()
  }
}

/** All that was accepted is over; what is told is what there is, though two APIs could tell it. */
async function showSums({ system }: ObservedSystem, server: RunningPrometheus): Promise<string> {
  await system.waitForConsumers(2)
  const model = '{model="shapes-vqa"}'
  const wanted = {
    [`sum(vision_queue_consumers${model})`]: 2,
    [`sum(vision_queue_engines${model})`]: 2,
    [`sum(vision_queue_queue_jobs${model})`]: 0,
    'count(vision_queue_redis_memory_used_bytes)': 1,
    'count(vision_queue_redis_up == 1)': 2,
  }
  for (const [expression, value] of Object.entries(wanted)) {
    await until(async () => [...(await server.query(expression)).values()][0] === value, `${expression} is ${value}`)
  }
  return 'with two APIs, two consumers are two'
}

/** No consumer, and a job that waits: Alertmanager has it, and sends it where pages go. */
async function showAlert(
  { system, consumers, replaceConsumer }: ObservedSystem,
  server: RunningPrometheus,
): Promise<string> {
  for (const { signal } of consumers) signal('SIGKILL')
  const [example] = readExamples()
  if (example === undefined) throw new Error('There are no examples.')
  await until(
    async () => [...(await server.query('sum(vision_queue_consumers)')).values()][0] === 0,
    'no consumer is left',
  )
  await forms.raw(system.url, { ...example, image: Buffer.concat([example.image, Buffer.from('waits')]) })
  await until(
    () => server.received.has('on-call: VisionQueueNoConsumers shapes-vqa'),
    'on-call is told that there is no consumer',
    () => `${[...server.received].join('\n')}\n${server.said()}`,
  )
  // The last seconds only, so that nobody waits for a minute without arrivals.
  const asked = async (): Promise<number | undefined> =>
    [...(await server.query(workQuery({ models: ['shapes-vqa'] }, '5s'))).values()][0]
  const work = await asked()
  if (!(work !== undefined && work > 0)) {
    throw new Error(`With no consumer the autoscaler is told ${work}: nobody would be started by it.`)
  }
  await replaceConsumer()
  await until(async () => (await asked()) === 0, 'the job is done, and nobody is asked for')
  return `a killed fleet pages on-call, and its jobs tell an autoscaler to start (work for ${work} of a consumer)`
}
