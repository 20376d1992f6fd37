import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { workQuery } from '@vision-queue/kubernetes/consumers'
import { stringify } from 'yaml'

import { run } from './commands.ts'

/** What Prometheus is told over five minutes, as promtool writes series, and how many consumers that asks for. */
interface State {
  name: string
  series: Record<string, string>
  consumers: number
}

/** One consumer gets through 10 jobs of `one` and 4 of `two` a second, and 80 % of that is planned with. */
const capacities = {
  'vision_queue_remembered_capacity_jobs_per_second{model="one",version="1"}': '10x20',
  'vision_queue_remembered_capacity_jobs_per_second{model="two",version="1"}': '4x20',
}
const submitted = (model: string, api: string): string =>
  `vision_queue_jobs_submitted_total{model="${model}",instance="${api}"}`
const queued = (model: string): string => `vision_queue_queue_jobs{model="${model}",instance="a"}`
const everySecond = (jobs: number): string => `0+${15 * jobs}x20`

const states: readonly State[] = [
  {
    name: 'what comes at both APIs, and what waits over 30 seconds, of both models',
    series: {
      ...capacities,
      [submitted('one', 'a')]: everySecond(20),
      [submitted('one', 'b')]: everySecond(12),
      [submitted('two', 'a')]: everySecond(8),
      [queued('one')]: '240x20',
      [queued('two')]: '0x20',
    },
    // (32 + 240 / 30) / 8 and 8 / 3.2
    consumers: 7.5,
  },
  {
    name: 'nothing comes and nothing waits',
    series: { ...capacities, [submitted('one', 'a')]: '500x20', [queued('one')]: '0x20', [queued('two')]: '0x20' },
    consumers: 0,
  },
  {
    name: 'something waits that no living API accepted',
    series: { ...capacities, [queued('one')]: '24x20', [queued('two')]: '0x20' },
    consumers: 0.1,
  },
  {
    name: 'a model waits that has never run',
    series: { [queued('one')]: '24x20' },
    consumers: 1,
  },
  {
    name: 'another class has work',
    series: { [submitted('three', 'a')]: everySecond(50), [queued('three')]: '1000x20', [queued('one')]: '0x20' },
    consumers: 0,
  },
]

/** Has promtool compute the autoscaler's query of two models in each state, and rejects where it is another number. */
export async function checkScalingQuery(promtool: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vision-queue-scaling-'))
  try {
    const path = join(folder, 'scaling.test.yml')
    const tests = states.map(({ name, series, consumers }) => ({
      name,
      interval: '15s',
      input_series: Object.entries(series).map(([metric, values]) => ({ series: metric, values })),
      promql_expr_test: [
        {
          expr: workQuery({ models: ['one', 'two'] }),
          eval_time: '5m',
          exp_samples: [{ labels: '{}', value: consumers }],
        },
      ],
    }))
    await writeFile(path, stringify({ rule_files: [], tests }))
    await run(promtool, ['test', 'rules', path])
  } finally {
    await rm(folder, { recursive: true })
  }
  return `the autoscaler's query asks for as many consumers as it should in ${states.length} states`
}
