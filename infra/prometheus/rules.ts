import { readFile } from 'node:fs/promises'

import { parse } from 'yaml'
import { z } from 'zod'

const ruleSchema = z.union([
  z.strictObject({ record: z.string(), expr: z.string() }),
  z.strictObject({
    alert: z.string(),
    expr: z.string(),
    for: z.string(),
    labels: z.strictObject({ severity: z.enum(['page', 'ticket']) }),
    annotations: z.strictObject({ summary: z.string(), runbook: z.string() }),
  }),
])
const rulesSchema = z.object({ groups: z.array(z.object({ name: z.string(), rules: z.array(ruleSchema) })) })
export type Rule = z.infer<typeof ruleSchema>

/** Where a file of this folder is. */
export const pathOf = (file: string): string => new URL(file, import.meta.url).pathname

/** The rules of alerts.yml. */
export async function readRules(): Promise<Rule[]> {
  const text = await readFile(pathOf('alerts.yml'), 'utf8')
  return rulesSchema.parse(parse(text)).groups.flatMap(({ rules }) => rules)
}
