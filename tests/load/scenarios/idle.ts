import { nameOf, startVariant } from '../compositions.ts'
import { readProcessTable } from '../processes.ts'
import type { Scenario } from '../scenario.ts'
import type { Service } from '../service.ts'
import { table } from '../tables.ts'
import { mostOthersShare } from '../windows/rounds.ts'
import { lookAt } from '../windows/look.ts'
import { windowOf } from '../windows/window.ts'

/** Until V8 has compiled and collected what the start left. */
const settleMs = 30_000
const limitMs = 5

/** What a service costs that nobody asks anything: all compositions side by side, as `npm start` has them. */
export const idle: Scenario = {
  name: 'idle',
  title: 'CPU of an idle service',
  usual: true,
  async run({ say, quick, variants }) {
    const services: Service[] = []
    try {
      for (const variant of variants) services.push(await startVariant(variant, 'real', { MODELS: '' }))
      await sleep(quick ? 1000 : settleMs)
      const processes = readProcessTable()
      const parts = services.map((service) => service.parts(processes))
      const pids = parts.flat().map(({ pid }) => pid)
      const before = lookAt(pids)
      await sleep(quick ? 2000 : 60_000)
      const after = lookAt(pids)
      const windows = parts.map((each) => windowOf(before, after, each, nothing))
      const others = Math.max(...windows.map(({ othersShare }) => othersShare))
      const doubt = others > mostOthersShare ? `neighbours took ${(others * 100).toFixed(0)} %` : null
      const measured = windows.map(({ cpuUs, seconds }, index) => {
        const rows = Object.entries(cpuUs).map(([part, us]) => [part, us / 1000 / seconds] as const)
        const sum = rows.reduce((total, [, ms]) => total + ms, 0)
        return { name: nameOf(variants[index] ?? missing()), rows, sum }
      })
      for (const { name, sum } of measured) say(`${name}: ${sum.toFixed(1)} ms of CPU a second`)
      return {
        notes: [`All shipped models loaded, nothing asked for; ${quick ? 2 : 60} s.`],
        targets: measured.map(({ name, sum }) => ({
          name: `CPU of an idle service, ${name}`,
          sense: 'at most' as const,
          limit: limitMs,
          unit: 'ms a second',
          measured: sum,
          digits: 1,
          note: null,
          doubt,
        })),
        tables: [
          table(
            'Idle, milliseconds of CPU a second',
            ['composition', 'process', ['ms/s', 2]],
            measured.flatMap(({ name, rows }) => rows.map(([part, ms]) => [name, part, ms])),
          ),
        ],
      }
    } finally {
      await Promise.all(services.map(async ({ stop }) => stop()))
    }
  },
}

const nothing = { jobs: 0, failures: 0, failure: null, p50Ms: null, p99Ms: null, beyondP50Ms: null }

function missing(): never {
  throw new Error('No such variant')
}

async function sleep(milliseconds: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })
}
