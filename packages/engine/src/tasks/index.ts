import { VisionQueueError } from '@vision-queue/protocol'

import { depthEstimation } from './depth-estimation.ts'
import { imageClassification } from './image-classification.ts'
import { imageFeatureExtraction } from './image-feature-extraction.ts'
import { imageSegmentation } from './image-segmentation.ts'
import { imageTextToText } from './image-text-to-text.ts'
import { imageToText } from './image-to-text.ts'
import { objectDetection } from './object-detection.ts'
import type { Task } from './task.ts'
import { tensors } from './tensors.ts'
import { visualEntailment } from './visual-entailment.ts'
import { visualQuestionAnswering } from './visual-question-answering.ts'
import { zeroShotImageClassification } from './zero-shot-image-classification.ts'
import { zeroShotObjectDetection } from './zero-shot-object-detection.ts'

/** Every task that models can be served for. */
export const tasks: readonly Task[] = [
  visualQuestionAnswering,
  visualEntailment,
  imageToText,
  imageTextToText,
  imageClassification,
  zeroShotImageClassification,
  imageFeatureExtraction,
  objectDetection,
  zeroShotObjectDetection,
  imageSegmentation,
  depthEstimation,
  tensors,
]

/** Their names. */
export const taskNames: readonly string[] = tasks.map(({ name }) => name)

/** The task that a model.json names; throws `model_unavailable`, listing those there are. */
export function findTask(name: string): Task {
  const task = tasks.find((candidate) => candidate.name === name)
  if (task !== undefined) return task
  throw new VisionQueueError(
    'model_unavailable',
    `model.json: task: ${name} is not known; there are: ${taskNames.join(', ')}.`,
  )
}
