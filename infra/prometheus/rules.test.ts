import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

import { documentedMetrics } from '@vision-queue/docs/metrics-table'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'

import { allExpressions, metricsIn, withResult } from './expressions.ts'
import { findPrometheus } from './find-prometheus.ts'
import { pathOf, readRules } from './rules.ts'

const run = promisify(execFile)
const programs = await findPrometheus()
if (programs === null) {
  console.warn(
    'SKIPPED: promtool and amtool are not on PATH; `npm run proofs -- prometheus` brings them and runs these.',
  )
}

const alerts = (await readRules()).flatMap((rule) => ('alert' in rule ? [rule] : []))

test('every alert has a section in docs/runbook.md, which it links to, and every section an alert', async () => {
  const runbook = await readFile(new URL('../../docs/runbook.md', import.meta.url), 'utf8')
  const sections = [...runbook.matchAll(/^## (VisionQueue\w+)$/gm)].map(([, name]) => name)
  expect(new Set(sections)).toEqual(new Set(alerts.map(({ alert }) => alert)))
  for (const { alert, annotations } of alerts) {
    expect(annotations.runbook).toBe(`docs/runbook.md#${alert.toLowerCase()}`)
  }
})

test('every alert has a test that it fires, and the file of tests names no other', async () => {
  const file = z.object({
    tests: z.array(
      z.object({ alert_rule_test: z.array(z.object({ alertname: z.string(), exp_alerts: z.array(z.unknown()) })) }),
    ),
  })
  const { tests } = file.parse(parse(await readFile(pathOf('alerts.test.yml'), 'utf8')))
  const fired = tests.flatMap(({ alert_rule_test: each }) =>
    each.flatMap(({ alertname, exp_alerts: expected }) => (expected.length > 0 ? [alertname] : [])),
  )
  expect(new Set(fired)).toEqual(new Set(alerts.map(({ alert }) => alert)))
})

test('rules and dashboards name no metric that nobody tells', async () => {
  const told = new Set(
    documentedMetrics().flatMap(({ name, type }) => {
      return type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]
    }),
  )
  for (const rule of await readRules()) if ('record' in rule) told.add(rule.record)
  for (const name of [
    'up',
    'nodejs_eventloop_lag_p99_seconds',
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
  ]) {
    told.add(name)
  }
  const expressions = await allExpressions()
  expect(expressions.size).toBeGreaterThan(60)
  const unknown = [...expressions].flatMap(([where, expression]) => {
    const names = metricsIn(expression)
    return names.length === 0 || names.some((name) => !told.has(name)) ? [`${where}: ${names.join(', ')}`] : []
  })
  expect(unknown).toEqual([])
})

test('no rule divides or adds by process what one of them tells for all', async () => {
  const shared = new Set(documentedMetrics().flatMap(({ name, from }) => (from === 'shared' ? [name] : [])))
  const byInstance = [...(await allExpressions())].filter(([, expression]) => {
    return /by \([^)]*instance/.test(expression) && metricsIn(expression).some((name) => shared.has(name))
  })
  expect(byInstance).toEqual([])
})

test('an expression with a condition has a result where the condition does not hold', () => {
  expect(withResult('sum(a{b!="1"}) > 0 and on(m) (c == 0)')).toBe('sum(a{b!="1"}) > bool 0 and on(m) (c == bool 0)')
})

test.skipIf(programs === null)(
  'promtool finds the rules right, and each fires when it should and not before',
  async () => {
    const { promtool } = programs ?? { promtool: '' }
    await run(promtool, ['check', 'config', pathOf('prometheus.yml')])
    const { stdout } = await run(promtool, ['test', 'rules', pathOf('alerts.test.yml')])
    expect(stdout).toContain('SUCCESS')
  },
)

test.skipIf(programs === null)(
  'Alertmanager takes its configuration; pages and tickets go where they should',
  async () => {
    const { amtool } = programs ?? { amtool: '' }
    const config = `--config.file=${pathOf('alertmanager.yml')}`
    await run(amtool, ['check-config', pathOf('alertmanager.yml')])
    for (const [severity, receiver] of [
      ['page', 'on-call'],
      ['ticket', 'team'],
    ] as const) {
      const { stdout } = await run(amtool, ['config', 'routes', 'test', config, `severity=${severity}`])
      expect(stdout.trim()).toBe(receiver)
    }
  },
)
