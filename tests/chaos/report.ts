import { z } from 'zod'

/** One scenario's last long run. */
const chaosRecordSchema = z.object({
  name: z.string(),
  title: z.string(),
  date: z.string(),
  /** How long it took. */
  minutes: z.number(),
  seed: z.int(),
  machine: z.string(),
  composition: z.enum(['one', 'apart']).default('apart'),
  /** Into how many parts the model's queue was spread. */
  queueParts: z.int().default(1),
  findings: z.array(
    z.object({
      fault: z.string(),
      figures: z.record(z.string(), z.union([z.number(), z.string()])),
      held: z.boolean(),
    }),
  ),
})
export type ChaosRecord = z.infer<typeof chaosRecordSchema>

/** docs/chaos.json. */
export const chaosRecordsSchema = z.array(chaosRecordSchema)

/** A scenario's findings as a Markdown table. */
export function table({ findings }: ChaosRecord): string {
  const rows = findings.map(({ fault, figures, held }) => {
    const told = Object.entries(figures).map(([name, value]) => `${name}: ${value}`)
    return `| ${fault} | ${held ? 'held' : '**broken**'} | ${told.join('; ')} |`
  })
  return ['| fault | promise | what was counted |', '|---|---|---|', ...rows].join('\n')
}

/** docs/chaos.md. */
export function chaosDocument(records: readonly ChaosRecord[]): string {
  const sections = records.map(
    (record) =>
      `## ${headingOf(record)}\n\n${capital(record.title)}. ${record.date}, ${record.minutes} minutes, seed ${record.seed}, ${record.machine}.\n\n${table(record)}\n`,
  )
  return [
    '# Faults, and what became of the jobs\n',
    'Written by `npm run chaos`, from the last run of each scenario; the figures are in [chaos.json](chaos.json). What is promised, and what each failure costs, stands in [guarantees.md](guarantees.md). Times are of one noisy machine.\n',
    ...sections,
  ].join('\n')
}

function headingOf({ name, composition, queueParts }: ChaosRecord): string {
  const processes = composition === 'one' ? ', API and consumer in one process' : ''
  return `${name}${processes}${queueParts === 1 ? '' : `, a queue in ${queueParts} parts`}`
}

function capital(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`
}
