import { createStepBatcher, type StepBatcherOptions } from '../batching/step-batcher.ts'
import type { BatchItem } from '../batching/run-or-split.ts'
import type { DynamicBatcher } from '../batching/dynamic-batcher.ts'
import type { Row } from '../onnx/collate.ts'
import type { Stepper } from './stepper.ts'
import type { OwnAnnouncement, TaskRequest } from './task.ts'

/** A job that is ready for a task which answers in steps. What else it holds is the task's own. */
export interface SteppedItem {
  /** Rows that it will need at most. */
  maxRows: number
  /** Its part of a run of the first graph, by which it is found out whether rows change each other; none: not tried. */
  rows?: Record<string, Row>
}

/** A task that generates answers step by step. */
export interface SteppedTask extends OwnAnnouncement {
  /** Rejects as a single run's does. */
  prepare: (request: TaskRequest) => Promise<SteppedItem>
  /** A batcher whose items join and leave between steps. They are what this task's `prepare` gave. */
  openSteps: <Item extends BatchItem & { readonly prepared: object }>(
    options: StepBatcherOptions<Item>,
  ) => DynamicBatcher<Item>
}

/** A task of any stepper: what it prepares and its sequences are known to nobody else. */
export function steppedTask<Prepared extends SteppedItem, Sequence>({
  prepare,
  stepper,
}: {
  prepare: (request: TaskRequest) => Promise<Prepared>
  stepper: Stepper<Prepared, Sequence>
}): SteppedTask {
  const own = new WeakMap<object, Prepared>()
  const toOwn = (item: object): Prepared => {
    const prepared = own.get(item)
    if (prepared === undefined) throw new Error('this job was prepared by another task')
    return prepared
  }
  const { bytesOf, ...rest } = stepper
  const overItems: Stepper<object, Sequence> = {
    ...rest,
    rowsOf: (item) => stepper.rowsOf(toOwn(item)),
    ...(bytesOf === undefined ? {} : { bytesOf: (items) => bytesOf(items.map(toOwn)) }),
    start: async (items) => stepper.start(items.map(toOwn)),
  }
  return {
    async prepare(request) {
      const prepared = await prepare(request)
      own.set(prepared, prepared)
      return prepared
    },
    openSteps: (options) => createStepBatcher(overItems, options),
  }
}
