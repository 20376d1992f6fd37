import type { Variant } from './compositions.ts'
import type { Findings } from './figures.ts'
import type { Services } from './services.ts'
import type { WindowPlan } from './windows/measure.ts'

/** What a scenario is given. */
export interface ScenarioContext {
  /** A line for the person who waits. */
  say: (line: string) => void
  /** Whether this run only shows that scenarios work. */
  quick: boolean
  /** How windows are cut in this run. */
  plan: WindowPlan
  /** The compositions that are measured, of this tree and of the revision that it is held against. */
  variants: readonly Variant[]
  /** The service with shapes-vqa and every setting at its default, in every composition, kept between scenarios. */
  services: Services
  /** Of this run alone, removed at its end. */
  folder: string
}

/** One question that `npm run bench` answers. */
export interface Scenario {
  name: string
  title: string
  /** Whether it is run when none is named. */
  usual: boolean
  run: (context: ScenarioContext) => Promise<Partial<Findings>>
}
