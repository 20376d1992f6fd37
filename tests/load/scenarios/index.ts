import type { Scenario } from '../scenario.ts'
import { cache } from './cache.ts'
import { chat } from './chat.ts'
import { cost, costOfPhoto, costOfReal } from './cost.ts'
import { day } from './day.ts'
import { depth } from './depth.ts'
import { endToEndPhotos, endToEndShapes } from './end-to-end.ts'
import { idle } from './idle.ts'
import { int8 } from './int8.ts'
import { latency } from './latency.ts'
import { naive } from './naive.ts'
import { overload } from './overload.ts'
import { parts } from './parts.ts'
import { rivals } from './rivals.ts'
import { scaling } from './scaling.ts'
import { start } from './start.ts'

/**
 * In the order in which they are run and reported. Those that use the same kind of service stand together, since it is
 * started and warmed once for them. The usual ones together take about twelve minutes.
 */
export const scenarios: readonly Scenario[] = [
  cost,
  costOfPhoto,
  costOfReal,
  endToEndShapes,
  latency,
  idle,
  naive,
  cache,
  overload,
  endToEndPhotos,
  depth,
  start,
  parts,
  scaling,
  int8,
  chat,
  day,
  rivals,
]
