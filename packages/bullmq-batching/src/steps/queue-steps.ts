import type { StepSources } from '../turns/step.ts'
import { addSource } from './add-step.ts'
import { backSource } from './back-step.ts'
import { finishSource } from './finish-step.ts'
import { markSource } from './mark-step.ts'
import { takeSource } from './take-step.ts'

/** BullMQ's own steps, to be among the sources of `createTurns`. */
export const queueSteps: StepSources = {
  'bull:add': addSource,
  'bull:finish': finishSource,
  'bull:take': takeSource,
  'bull:back': backSource,
  'bull:mark': markSource,
}
