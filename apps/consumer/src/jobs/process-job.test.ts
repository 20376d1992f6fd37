import { type FinalJob, VisionQueueError } from '@vision-queue/protocol'
import type { QueuedJob } from '@vision-queue/queue'
import { ImagesUnreadError } from '@vision-queue/engine-pool'
import type { Delivery } from '@vision-queue/queue/worker'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'

import { createJobWork } from '../observe/job-work.ts'
import { noJobTracing } from '../observe/trace-jobs.ts'
import { createJobProcessor } from './process-job.ts'
import type { ChosenPool } from './run-job.ts'
import { createSuspectGate } from './suspect-gate.ts'

const job: QueuedJob = {
  version: 2,
  id: 'job_000000000000000000001',
  model: 'm',
  modelVersion: '1',
  versionPinned: false,
  parts: [{ kind: 'blob', name: 'image', hash: 'a'.repeat(64), bytes: 1, type: 'image/png' }],
  input: {},
  parameters: {},
  metadata: null,
  createdAt: Date.now(),
  deadlineAt: null,
  cache: false,
  replyTo: null,
  owner: null,
  priority: 'normal',
  retryOf: null,
  answersOf: null,
}

const manifest: ChosenPool['manifest'] = {
  name: 'm',
  version: '1',
  task: 'visual-question-answering',
  variant: 'fp32',
  provider: 'cpu',
  maxBatchSize: 4,
  inputSchema: {},
  parametersSchema: {},
  outputSchema: {},
  labels: null,
}

/** A processor whose engines are `run`, and what became of the jobs. */
function processor(run: ChosenPool['run'], enginesReadBlobs = false, readsImages = true) {
  const finals: FinalJob[] = []
  const work = createJobWork()
  const canceling = new AbortController()
  const deliver = createJobProcessor({
    choosePool: () => ({ manifest, readsImages, run }),
    results: {
      read: async () => null,
      async finish(_job, final) {
        finals.push(final)
        return true
      },
      end: async (_job, final) => final,
      endOf: (_job, final) => ({
        steps: [],
        async settle() {
          finals.push(final)
          return true
        },
      }),
      keep: async (final) => final,
      readAnswer: async () => null,
      async announceRunning() {},
    },
    openText: () => ({ add() {}, end() {} }),
    poison: { has: async () => false, async add() {} },
    suspects: createSuspectGate(),
    cancellations: { hold: () => ({ signal: canceling.signal, release() {} }), close() {} },
    shared: null,
    enginesReadBlobs,
    objects: null,
    retention: {
      resultTtlMs: 1000,
      failedResultTtlMs: 2000,
      resultMaxBytes: 1e9,
      failedResultMaxBytes: 1e9,
      failedPayloadTtlMs: 0,
      failedPayloadMaxBytes: 0,
    },
    maxStalls: 5,
    maxAttempts: 3,
    onFinished() {},
    work,
    traces: noJobTracing,
    log: pino({ level: 'silent' }),
  })
  const processJob: typeof deliver = async (taken) => {
    const disposition = await deliver(taken)
    // As the job leaves the queue.
    if (disposition.kind === 'done') await disposition.ending?.settle([1])
    return disposition
  }
  return { processJob, finals, canceling, work }
}

function delivery(attempts = 1, queued: QueuedJob = job): Delivery {
  return {
    job: queued,
    id: queued.id,
    attempts,
    stalls: 0,
    startedAt: Date.now(),
    readBlobs: async () => [new Uint8Array([1])],
    handOverBlobs: async () => [new Uint8Array([1])],
  }
}

test('a failure that may pass is tried again after a longer and longer pause, and is the last one at MAX_ATTEMPTS', async () => {
  const { processJob, finals } = processor(async () => {
    throw new VisionQueueError('model_unavailable', 'Its engines do not start.')
  })
  const pauses: number[] = []
  for (const attempts of [1, 2]) {
    const disposition = await processJob(delivery(attempts))
    if (disposition.kind !== 'delay') throw new Error(`was ${disposition.kind}`)
    pauses.push(disposition.delayMs)
  }
  for (const [index, most] of [500, 1000].entries()) {
    expect(pauses[index]).toBeGreaterThanOrEqual(most / 2)
    expect(pauses[index]).toBeLessThanOrEqual(most)
  }
  expect(finals).toEqual([])
  expect(await processJob(delivery(3))).toMatchObject({ kind: 'done' })
  expect(finals).toMatchObject([
    { status: 'failed', attempts: 3, error: { code: 'model_unavailable', retryable: true } },
  ])
})

test('images that can not be read are nobody’s failed attempt: such a job is tried until its deadline, however often', async () => {
  const { processJob, finals } = processor(async () => {
    throw new Error('It ran without its image.')
  })
  const away: Delivery['readBlobs'] = async () => {
    throw new VisionQueueError('queue_unavailable', 'The store of images does not answer.')
  }
  for (const attempts of [1, 2, 3, 4, 50, 5000]) {
    const disposition = await processJob({ ...delivery(attempts), readBlobs: away })
    if (disposition.kind !== 'delay') throw new Error(`was ${disposition.kind}`)
    expect(disposition.delayMs).toBeGreaterThan(0)
    expect(disposition.delayMs).toBeLessThanOrEqual(30_000)
  }
  expect(finals).toEqual([])
  const late = delivery(5001, { ...job, deadlineAt: Date.now() - 1 })
  expect(await processJob({ ...late, readBlobs: away })).toMatchObject({ kind: 'done' })
  expect(finals).toMatchObject([{ status: 'expired', error: { code: 'deadline_exceeded' } }])
})

test.each(['image_undecodable', 'invalid_input', 'inference_failed', 'engine_crashed', 'payload_expired'] as const)(
  '%s is the job’s own and ends it at once',
  async (code) => {
    const { processJob, finals } = processor(async () => {
      throw new VisionQueueError(code, 'It is what it is.')
    })
    expect(await processJob(delivery())).toMatchObject({ kind: 'done' })
    expect(finals).toMatchObject([{ status: 'failed', error: { code, retryable: false } }])
  },
)

test('a deadline that has passed ends the job as expired, before anything is read for it or in the engine', async () => {
  const { processJob, finals } = processor(async () => {
    throw new VisionQueueError('deadline_exceeded', 'Too late.')
  })
  const unread = { ...delivery(1, { ...job, deadlineAt: Date.now() - 1 }), readBlobs: () => expect.unreachable() }
  await processJob(unread)
  await processJob(delivery())
  expect(finals).toMatchObject([{ status: 'expired' }, { status: 'expired' }])
})

test('a job that is canceled while it is held is dropped, whatever its run says then', async () => {
  const { processJob, finals, canceling } = processor(
    async ({ signal }) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(new Error('dropped')))
        canceling.abort()
      }),
  )
  expect(await processJob(delivery())).toMatchObject({ kind: 'done' })
  expect(finals).toMatchObject([{ status: 'canceled', error: null }])
})

describe('engines that read images themselves', () => {
  const answer = { output: {}, variant: 'fp32', preprocessMs: 1, inferenceMs: 1, batchSize: 1 }
  const bytes = [new Uint8Array([1])]

  test('are given their addresses, in the space of the job, and nothing is read for them', async () => {
    const asked: unknown[] = []
    const { processJob, finals } = processor(async ({ images }) => {
      asked.push(images)
      return answer
    }, true)
    await processJob({ ...delivery(1, { ...job, answersOf: 'key' }), readBlobs: () => expect.unreachable() })
    expect(asked).toEqual([[{ space: 'key', hash: 'a'.repeat(64), bytes: 1 }]])
    expect(finals).toMatchObject([{ status: 'succeeded' }])
  })

  test('leave the reading to the consumer where the model runs on a server elsewhere', async () => {
    const asked: unknown[] = []
    const run: ChosenPool['run'] = async ({ images, priority }) => {
      asked.push(images, priority)
      return answer
    }
    const { processJob } = processor(run, true, false)
    await processJob({ ...delivery(1, { ...job, priority: 'low' }), readBlobs: async () => bytes })
    expect(asked).toEqual([bytes, 'low'])
  })

  test('are given the bytes of a job that a release before has queued', async () => {
    const [part] = job.parts
    if (part?.kind !== 'blob') throw new Error('no blob')
    const old = { ...job, parts: [{ ...part, old: { name: 'b'.repeat(64), uploaded: false } }] }
    const asked: unknown[] = []
    const { processJob } = processor(async ({ images }) => {
      asked.push(images)
      return answer
    }, true)
    await processJob(delivery(1, old))
    expect(asked).toEqual([bytes])
  })

  test.each([
    ['there', bytes, { status: 'succeeded', attempts: 1 }],
    ['gone', null, { status: 'failed', error: { code: 'payload_expired' } }],
  ])('and can not are given the bytes, in the same attempt (which are %s)', async (_, read, final) => {
    const { processJob, finals } = processor(async ({ images }) => {
      if (images.every((image) => image instanceof Uint8Array)) return answer
      throw new ImagesUnreadError({ cause: 'Redis is away' })
    }, true)
    await processJob({ ...delivery(), readBlobs: async () => read })
    expect(finals).toMatchObject([final])
  })
})
