import type { Scenario } from '../scenario.ts'
import { bare } from './bare.ts'
import { batching } from './batching.ts'
import { cache } from './cache.ts'
import { day, dayShort } from './day.ts'
import { endToEnd } from './end-to-end.ts'
import { idle } from './idle.ts'
import { naive } from './naive.ts'
import { overload } from './overload.ts'
import { ownCpu } from './own-cpu.ts'
import { redisLimit } from './redis-limit.ts'
import { rivals } from './rivals.ts'
import { scaling } from './scaling.ts'
import { think } from './think.ts'

/** In the order in which they are run and reported; later ones may use what earlier ones found. */
export const scenarios: readonly Scenario[] = [
  bare,
  endToEnd,
  ownCpu,
  idle,
  naive,
  think,
  dayShort,
  day,
  cache,
  overload,
  scaling,
  redisLimit,
  batching,
  rivals,
]
