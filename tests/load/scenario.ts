import type { Findings, StoredFigures } from './figures.ts'
import type { MeasuredService } from './service.ts'

/** What a scenario is given. */
export interface ScenarioContext {
  /** A line for the person who waits. */
  say: (line: string) => void
  /** Figures of this run and, where a scenario wasn't in it, of earlier ones. */
  figures: () => StoredFigures
  /**
   * The service with shapes-vqa and every setting at its default, warm, one for all scenarios of a run: idle where
   * a scenario does not use it.
   */
  sharedService: () => Promise<MeasuredService>
  /** `--long`: minutes instead of seconds, where that says more. */
  long: boolean
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
