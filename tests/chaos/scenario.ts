import type { Composition } from '@vision-queue/test-support/system'

/** How a scenario is run: `short` inside `npm test`, in seconds; `long` by `npm run chaos`. */
export interface ScenarioOptions {
  form: 'short' | 'long'
  /** Of the random choices: the same seed strikes in the same order. */
  seed: number
  /** How long a bounded run may go on, in minutes; scenarios with an end of their own don't look at it. */
  minutes: number
  say: (line: string) => void
  /** Whether API and consumer are one process; undefined: as startSystem's own default. */
  composition?: Composition | undefined
  /** How many kills are wanted, where a scenario kills at random; undefined: as many as its form has. */
  kills?: number | undefined
  /** Into how many parts the model's queue is spread, where a scenario can spread it. Default: 1. */
  queueParts?: number | undefined
}

/** What one fault did: counts and figures by name, and whether the promise of docs/guarantees.md held. */
export interface Finding {
  fault: string
  figures: Record<string, number | string>
  held: boolean
}

export interface Scenario {
  name: string
  /** What it does to the system, in a sentence. */
  title: string
  run(options: ScenarioOptions): Promise<Finding[]>
}

/** How the short form is run by the tests. */
export const shortForm: ScenarioOptions = { form: 'short', seed: 1, minutes: 1, say: () => {} }

export async function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })
}
