import type { Scenario } from '../scenario.ts'
import { bare } from './bare.ts'
import { endToEnd } from './end-to-end.ts'

/** In the order in which they are run and reported; later ones may use what earlier ones found. */
export const scenarios: readonly Scenario[] = [bare, endToEnd]
