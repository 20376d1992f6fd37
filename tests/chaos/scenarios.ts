import { clocks } from './clocks.ts'
import { kill } from './kill.ts'
import { poison } from './poison.ts'
import { redisFaults } from './redis-faults.ts'
import { rolling } from './rolling.ts'
import type { Scenario } from './scenario.ts'
import { slowClients } from './slow-clients.ts'
import { soak } from './soak.ts'

/** All scenarios, in the order in which they are run and told. */
export const scenarios: readonly Scenario[] = [kill, redisFaults, poison, rolling, clocks, slowClients, soak]
