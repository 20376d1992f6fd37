import { kill } from './kill.ts'
import { redisFaults } from './redis-faults.ts'
import type { Scenario } from './scenario.ts'

/** All scenarios, in the order in which they are run and told. */
export const scenarios: readonly Scenario[] = [kill, redisFaults]
