import type { DynamicBatcher } from './batching/dynamic-batcher.ts'
import type { BatchItem } from './batching/run-or-split.ts'
import type { Session } from './onnx/session.ts'
import { shapeOfRows } from './onnx/shape-of-rows.ts'
import type { StepBatcherOptions } from './batching/step-batcher.ts'
import type { TaskOutput } from './task-output.ts'
import type { SteppedItem } from './tasks/stepped-task.ts'
import type { OpenTask, PreparedItem, TaskRequest } from './tasks/task.ts'

/** A job that is ready for its model, of whichever kind the model's task is. */
export type PreparedJob = PreparedItem | SteppedItem

/** How a model answers jobs: what engines, the benchmark's bare loop and warm-up need of any task, of either kind. */
export interface Answering {
  prepare: (request: TaskRequest) => Promise<PreparedJob>
  /** Answers some jobs from beginning to end: an output or an error for each, in order. */
  run: (jobs: readonly PreparedJob[]) => Promise<(TaskOutput | Error)[]>
  /** Jobs of different shapes are better not run together. */
  shapeOf: (job: PreparedJob) => string
  /** Where the task answers in steps: a batcher whose items join and leave between them. */
  openSteps?: <Item extends BatchItem & { readonly prepared: PreparedJob }>(
    options: StepBatcherOptions<Item>,
  ) => DynamicBatcher<Item>
}

/** `inputs`: the graph's, for the lengths that it fixes. */
export function answerBy(task: OpenTask, { inputs }: Pick<Session, 'inputs'>): Answering {
  const shapeOf = ({ rows }: PreparedJob): string => (rows === undefined ? '' : shapeOfRows(rows, inputs))
  if (!('openSteps' in task)) {
    return { prepare: task.prepare, shapeOf, run: async (jobs) => task.run(jobs.map(ofOneRun)) }
  }
  return {
    prepare: task.prepare,
    shapeOf,
    openSteps: task.openSteps,
    run: async (jobs) =>
      new Promise((resolve) => {
        const results: (TaskOutput | Error)[] = []
        let missing = jobs.length
        if (missing === 0) resolve(results)
        const batcher = task.openSteps<BatchItem & { prepared: PreparedJob; index: number }>({
          onLaunch: async () => {},
          onText() {},
          onSettled(outcomes) {
            for (const outcome of outcomes) {
              if (outcome.kind === 'canceled') continue
              results[outcome.item.index] = outcome.kind === 'value' ? outcome.value : outcome.error
              missing -= 1
            }
            if (missing === 0) resolve(results)
          },
        })
        for (const [index, prepared] of jobs.entries()) {
          batcher.add({ prepared, index, deadlineAt: null, canceled: false })
        }
      }),
  }
}

function ofOneRun(job: PreparedJob): PreparedItem {
  if ('maxRows' in job) throw new Error('this job was prepared by a task of another kind')
  return job
}
