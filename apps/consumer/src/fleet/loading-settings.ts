import { integerSetting } from '@vision-queue/process'
import { z } from 'zod'

import type { LoadingTurns } from './desired.ts'

/** In which order models are loaded. */
export const loadingSettings = {
  LOADS_AT_ONCE: integerSetting(0, 256)
    .default(0)
    .describe(
      'How many versions load at a time; the others wait for their turn, those with waiting jobs first. 0: as many as this process has cores. Engines that load all together share the cores, and none is ready before nearly all are. Raise it where loading waits for a disk or a network rather than for a core. A version whose engines fail to start holds nobody up.',
    ),
  LOAD_FIRST: z
    .string()
    .default('')
    .describe(
      'Models that load before the others where no jobs wait for any, separated by commas. `npm start` names those of the lines that it prints.',
    ),
}

interface LoadingSettings {
  LOADS_AT_ONCE: number
  LOAD_FIRST: string
}

/** `cores`: of this process. */
export function toLoadingTurns({ LOADS_AT_ONCE, LOAD_FIRST }: LoadingSettings, cores: number): LoadingTurns {
  const first = LOAD_FIRST.split(',').map((name) => name.trim())
  return { atOnce: LOADS_AT_ONCE === 0 ? cores : LOADS_AT_ONCE, first }
}
