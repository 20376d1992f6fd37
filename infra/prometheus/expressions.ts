import { dashboardExpressions } from '@vision-queue/grafana/dashboards'

import { readRules } from './rules.ts'

/**
 * Every expression of rules and dashboards, by where it stands, in a form that has a result while all is well: an
 * alert's comparisons answer 0 or 1 instead of leaving out what doesn't fit. Then no result means that a name or a label
 * is wrong.
 */
export async function allExpressions(): Promise<Map<string, string>> {
  const all = dashboardExpressions()
  for (const rule of await readRules()) {
    if ('record' in rule) all.set(`rule ${rule.record}`, rule.expr)
    else all.set(`alert ${rule.alert}`, withResult(rule.expr))
  }
  return all
}

/** Comparisons stand between spaces, which those in a selector's braces don't. `x > 0` in brackets is no condition of ours. */
export function withResult(expression: string): string {
  return expression.replaceAll(/ (==|!=|>=|<=|>|<) (?!bool )/g, ' $1 bool ')
}

/** The metrics that an expression names. */
export function metricsIn(expression: string): string[] {
  const bare = expression.replaceAll(/\{[^}]*\}/g, '').replaceAll(/"[^"]*"/g, '')
  return [...bare.matchAll(/\b(?:vision_queue_|vision_queue:|nodejs_|process_|up\b)[a-z0-9_:]*/g)].map(([name]) => name)
}
