import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import type { PrometheusPrograms } from '@vision-queue/prometheus/find-prometheus'

const run = promisify(execFile)

/** Has promtool read what the processes at these addresses (host:port) tell. */
export async function checkMetrics({ promtool }: PrometheusPrograms, hosts: readonly string[]): Promise<string> {
  for (const host of hosts) {
    const text = await (await fetch(`http://${host}/metrics`)).text()
    const checked = run(promtool, ['check', 'metrics'])
    checked.child.stdin?.end(text)
    // It exits with 3 where it objects to something.
    await checked.catch((error: unknown) => {
      throw new Error(`promtool objects to the metrics of ${host}`, { cause: error })
    })
  }
  return `promtool has no objection to the metrics of ${hosts.length} processes`
}
