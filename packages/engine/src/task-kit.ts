import { VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import { withoutOverlaps } from './tasks/box-overlap.ts'
import { toOriginal } from './tasks/image-place.ts'
import { lacking } from './tasks/lacking.ts'
import { openImageInput, openPlacedInput } from './tasks/model-inputs.ts'
import { chooseOutput, openScores } from './tasks/model-outputs.ts'
import { openSingleRun } from './tasks/single-run.ts'
import { onlyImage, parseInput } from './tasks/task.ts'
import { openTextInput } from './tasks/text-input.ts'
import { topScores } from './tasks/top-scores.ts'

/** What tasks are made of: given to the code of a model's folder, which can't import it. */
export const taskKit = {
  /** For the schemas of input, parameters and output. */
  z,
  /** To refuse a job: `new VisionQueueError('invalid_input', sentence)`. */
  VisionQueueError,
  /** To refuse a folder. */
  lacking,
  onlyImage,
  parseInput,
  openImageInput,
  openPlacedInput,
  openTextInput,
  openSingleRun,
  openScores,
  chooseOutput,
  topScores,
  toOriginal,
  withoutOverlaps,
} as const

export type TaskKit = typeof taskKit
export type { Task, TaskModel, TaskRequest, OpenTask, PreparedItem } from './tasks/task.ts'
export type { OutputTensor } from './onnx/tensor.ts'
