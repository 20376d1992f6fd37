import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import {
  DashboardBuilder,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder } from '@grafana/grafana-foundation-sdk/timeseries'

import { fleetRows } from './fleet-rows.ts'
import { jobRows } from './job-rows.ts'
import type { Graph, Row } from './row.ts'

/** What is in infra/grafana, by file name. */
export const dashboards: Readonly<Record<string, Dashboard>> = {
  'jobs.json': build({ uid: 'vision-queue-jobs', title: 'vision-queue: jobs', rows: jobRows }),
  'fleet.json': build({ uid: 'vision-queue-fleet', title: 'vision-queue: API, consumers, Redis', rows: fleetRows }),
}

/** Every expression of the dashboards, as it would be asked with all models chosen, by where it stands. */
export function dashboardExpressions(): Map<string, string> {
  const all = new Map<string, string>()
  for (const { title: row, graphs } of [...jobRows, ...fleetRows]) {
    for (const { title, expressions } of graphs) {
      for (const [legend, expression] of Object.entries(expressions)) {
        const asked = expression.replaceAll('$model', '.*').replaceAll('$__rate_interval', '1m')
        all.set(`${row} / ${title} / ${legend}`, asked)
      }
    }
  }
  return all
}

function build({ uid, title, rows }: { uid: string; title: string; rows: readonly Row[] }): Dashboard {
  const source = { type: 'prometheus', uid: '${source}' }
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .tags(['vision-queue'])
    .refresh('30s')
    .time({ from: 'now-1h', to: 'now' })
    .timezone('browser')
    .withVariable(new DatasourceVariableBuilder('source').label('Prometheus').type('prometheus'))
    .withVariable(
      new QueryVariableBuilder('model')
        .label('Model')
        .datasource(source)
        .query('label_values(vision_queue_queue_jobs, model)')
        .includeAll(true)
        .allValue('.*')
        .multi(true),
    )
  for (const { title: name, graphs } of rows) {
    builder.withRow(new RowBuilder(name))
    for (const graph of graphs) builder.withPanel(panel(graph, source))
  }
  return builder.build()
}

function panel({ title, description, unit, expressions }: Graph, source: { type: string; uid: string }): PanelBuilder {
  const made = new PanelBuilder()
    .title(title)
    .description(description)
    .unit(unit)
    .min(0)
    .datasource(source)
    .height(8)
    .span(8)
  for (const [legend, expression] of Object.entries(expressions)) {
    made.withTarget(new DataqueryBuilder().expr(expression).legendFormat(legend).range())
  }
  return made
}
