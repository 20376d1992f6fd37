import { setTimeout as sleep } from 'node:timers/promises'
import { createHash, randomBytes } from 'node:crypto'

import { finalJob, type QueuedJob } from '@vision-queue/queue'
import { createResultStore, openPartedSource } from '@vision-queue/queue/worker'
import { openDurableConnection } from '@vision-queue/redis'
import { openJobClient, type BlobBytes } from '@vision-queue/queue/producer'
import { nanoid } from 'nanoid'

import { trafficOptionsSchema } from './queue-traffic.ts'
import { Counter, serveDrive } from './serve-drive.ts'

/** One process of queue traffic, see trafficOptionsSchema. Argument: TrafficOptions as JSON. */
// With its parent it ends, also while it waits for Redis; the parent may be gone already.
process.once('disconnect', () => process.exit(0))
if (!process.connected) process.exit(0)
const options = trafficOptionsSchema.parse(JSON.parse(process.argv[2] ?? 'null'))
const log = { info() {}, warn() {}, error: (...words: unknown[]) => console.error(...words) }
const resultTtlMs = 10_000
const retention = {
  resultTtlMs,
  failedResultTtlMs: resultTtlMs,
  resultMaxBytes: 1e12,
  failedResultMaxBytes: 1e12,
  failedPayloadTtlMs: 0,
  failedPayloadMaxBytes: 0,
}
if (options.kind === 'produce') {
  const client = openJobClient({
    redisUrl: options.redisUrl,
    maxJobs: 100_000,
    maxBytes: 2 ** 30,
    payloadTtlMs: 600_000,
    orphanCheckMs: 10_000,
    answerMemoryBytes: 0,
    retention,
    listLength: 10_000,
    commandTimeoutMs: 10_000,
    log,
  })
  const counter = new Counter()
  let sent = 0
  const state = { going: false }
  let running: Promise<void>[] = []
  const submit = async (): Promise<void> => {
    sent += 1
    const model = options.models[sent % options.busyModels] ?? ''
    const owner = options.owners[sent % options.owners.length] ?? null
    const [job, blobs] = noOpJob(randomBytes(options.imageBytes), model, owner)
    await client.submitAndWait(job, blobs, { timeoutMs: 60_000, parts: options.queueParts })
  }
  // Its connections fail fast while they are being made; after that a failure is one.
  for (let begun = false; !begun;) {
    begun = await submit().then(
      () => true,
      async () => sleep(50, false),
    )
  }
  const produce = async (): Promise<void> => {
    while (state.going) {
      await submit().then(
        () => counter.done(1),
        (error: unknown) => counter.failed(String(error)),
      )
    }
  }
  serveDrive(counter, {
    async go() {
      state.going = true
      running = Array.from({ length: options.inFlight }, produce)
    },
    async pause() {
      state.going = false
      await Promise.all(running)
    },
  })
} else {
  for (const model of options.models) openSource(model)
  console.log('ready')
}

function openSource(model: string): void {
  const redis = openDurableConnection({ redisUrl: options.redisUrl, log, name: 'consumer' })
  const results = createResultStore({ redis, retention, answerTtlMs: 0 })
  openPartedSource({
    redisUrl: options.redisUrl,
    redis,
    model,
    parts: options.queueParts,
    concurrency: options.perSource,
    lockMs: 10_000,
    stalledCheckMs: 5000,
    async handle({ job, startedAt, attempts, readBlobs }) {
      if (job === null || (await readBlobs(job)) === null) throw new Error('A job or its picture is lost')
      results.announceRunning(job.id, startedAt, attempts).catch(() => {})
      const output = { answers: [{ answer: 'nothing', score: 1 }] }
      const final = finalJob(job, { status: 'succeeded', attempts, startedAt, output }, resultTtlMs)
      return { kind: 'done', ending: results.endOf(job, final) }
    },
    giveUp: async () => {
      throw new Error('A job was given up')
    },
    log,
  })
}

function noOpJob(image: Uint8Array, model: string, owner: string | null): [QueuedJob, BlobBytes] {
  const hash = createHash('sha256').update(image).digest('hex')
  const job: QueuedJob = {
    version: 2,
    id: `job_${nanoid(21)}`,
    model,
    modelVersion: '1',
    versionPinned: false,
    parts: [
      { kind: 'blob', name: 'image', hash, bytes: image.length, type: 'image/jpeg' },
      { kind: 'text', name: 'question', text: 'What is it?' },
    ],
    input: {},
    parameters: {},
    metadata: null,
    createdAt: Date.now(),
    deadlineAt: null,
    cache: false,
    replyTo: null,
    owner,
    answersOf: null,
    priority: 'normal',
    retryOf: null,
  }
  return [job, new Map([[hash, image]])]
}
