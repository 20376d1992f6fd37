import { describeFields, fieldErrors, type ImageCount, VisionQueueError } from '@vision-queue/protocol'
import type { z } from 'zod'

import type { Row } from '../onnx/collate.ts'
import type { RunningSequence } from '../generation/running-sequence.ts'
import type { ModelFolder } from '@vision-queue/models'
import type { GraphFacts } from '@vision-queue/models'
import type { OutputTensor } from '../onnx/tensor.ts'
import type { Session } from '../onnx/session.ts'
import type { SteppedTask } from './stepped-task.ts'
import type { TaskOutput } from '../task-output.ts'

/** One job's input as a task sees it: compressed images in their order, and JSON that is not checked yet. */
export interface TaskRequest {
  images: readonly Uint8Array[]
  input: Record<string, unknown>
  parameters: Record<string, unknown>
  /** Whether the answer's text is wanted as it comes. Default: no. */
  stream?: boolean | undefined
}

/** An item that is ready for a batch: its part of each input, and how to read its part of the outputs. */
export interface PreparedItem<Decoded = TaskOutput> {
  rows: Record<string, Row>
  /**
   * Gets its own slice of each output, without the batch dimension. May throw: the item fails alone. The next batch
   * waits for all of its promises.
   */
  decode: (outputs: Record<string, OutputTensor>) => Decoded | Promise<Decoded>
}

/** An item of a task that answers in steps, of which the first run makes a sequence. */
export interface PreparedSequence extends PreparedItem<RunningSequence> {
  /** Rows that it will need at most. */
  maxRows: number
}

/**
 * A kind of work that models do, by Hugging Face's name. A new task is one file that exports a Task,
 * listed in `index.ts`; queue, batching and engines know nothing of it.
 */
export interface Task {
  name: string
  /** How many images a job of it has. Default: one. */
  images?: ImageCount
  /** The inputs besides the images, strict. They are announced as JSON Schema and parsed in `prepare`. */
  input: z.ZodType
  parameters: z.ZodType
  output: z.ZodType
  /**
   * The names of its graphs, such as `[['model'], ['vision_model', 'text_model']]`: the first set whose files
   * are all there is opened. Without it, `model`.
   */
  graphs?: readonly (readonly string[])[]
  /** Whether no two jobs share a run, as of graphs that take one image. Default: they do. */
  runsAlone?: boolean
  /** An input that any model of the task takes, for warming it up. */
  sampleInput: Record<string, unknown>
  /** Parameters that keep the warm-up short. Default: none. */
  sampleParameters?: Record<string, unknown>
  /** Checks that folder and graph have what the task needs; throws `model_unavailable` saying what is missing. */
  open: (model: TaskModel) => OpenTask | Promise<OpenTask>
}

/** What a task is given of a model. */
export interface TaskModel {
  folder: ModelFolder
  /** The first of the task's graphs. */
  session: Session
  /** All of them, by name. */
  sessions: ReadonlyMap<string, Session>
  /** What the first graph's file says. */
  facts: GraphFacts
  /** Loads another graph of the folder; null where it has none of this name. Closed with the others, or before. */
  openBeside: (name: string) => Promise<Session | null>
  maxImagePixels: number
  shrinkAbovePixels: number
  /** See createHeavyTurns. */
  heavyImageBytes: number
  /** The most bytes of images' features that are kept for later questions about them. */
  featureCacheBytes: number
  /** The most bytes of keys and values that running conversations have. */
  generationCacheBytes: number
}

/** A task with its model. */
export type OpenTask = SingleRunTask | SteppedTask

/** What a model tells of itself instead of its task's, where it isn't the same for all models of the task. */
export interface OwnAnnouncement {
  images?: ImageCount
  /** As the task's `input`. */
  input?: z.ZodType
  /** As the task's `parameters`, with this model's own defaults. */
  parameters?: z.ZodType
  sampleInput?: Record<string, unknown>
  /** Whether no two jobs share a run. */
  runsAlone?: boolean
}

/** Answers each batch in one go. `prepare` runs for many items at a time, `run` for one batch at a time. */
export interface SingleRunTask extends OwnAnnouncement {
  /** Rejects with `invalid_input`, `image_undecodable` or `image_too_large`. */
  prepare: (request: TaskRequest) => Promise<PreparedItem>
  /** An output or an error for each item, in order. Rejects where the batch failed as a whole. */
  run: (items: readonly PreparedItem[]) => Promise<(TaskOutput | Error)[]>
}

/** The image of a task that takes one; rejects with `invalid_input` where there isn't exactly one. */
export function onlyImage({ images }: Pick<TaskRequest, 'images'>): Uint8Array {
  const [image, ...more] = images
  if (image !== undefined && more.length === 0) return image
  throw new VisionQueueError('invalid_input', `The model takes one image; the job has ${images.length}.`)
}

/** Parses one side of a request, or throws `invalid_input` naming the fields under `under`. */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown, under: string): z.infer<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const fields = fieldErrors(parsed.error, under)
  throw new VisionQueueError('invalid_input', describeFields(fields), { fields })
}
