import { createHash } from 'node:crypto'

import { blobBytesKey } from '@vision-queue/blobs'
import type { FinalJob } from '@vision-queue/protocol'
import { finalJob } from '../job-forms.ts'
import { type BlobPart, blobsOf } from '../parts.ts'
import type { QueuedJob } from '../queued-job.ts'
import type { Retention } from '@vision-queue/process'
import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, vi } from 'vitest'

import { type Cancellations, openCancellations } from '../worker/cancellations.ts'
import { type BlobBytes, openJobClient } from '../producer/job-client.ts'
import { type TestClient, testClient } from './job-watch.ts'
import { type JobSourceOptions, openJobSource } from '../worker/job-source.ts'
import { createResultStore, type ResultStore } from '../worker/result-store.ts'

export const quiet = { info() {}, warn() {}, error() {} }
export const retention = {
  resultTtlMs: 60_000,
  failedResultTtlMs: 60_000,
  resultMaxBytes: 1e9,
  failedResultMaxBytes: 1e9,
  failedPayloadTtlMs: 0,
  failedPayloadMaxBytes: 1000,
}
export const limits = {
  maxJobs: 3,
  maxBytes: 1000,
  payloadTtlMs: 60_000,
  answerMemoryBytes: 100_000,
  retention,
  listLength: 100,
  orphanCheckMs: 60_000,
}
/** The id of no job. */
export const nobody = 'job_000000000000000000nil'
export const image = Buffer.alloc(100, 7)

/** A queue in a Redis of its test file's own, emptied before each test. */
export interface TestQueue {
  readonly redis: Redis
  readonly url: string
  readonly client: TestClient
  /** Another API process. */
  connect(options?: Partial<typeof limits>): Promise<TestClient>
  consume(handle: JobSourceOptions['handle'], options?: Partial<JobSourceOptions>): void
  resultStore(its?: Partial<Retention>): ResultStore
  /** As a consumer does. */
  listenForCancellations(): Cancellations
  /** Closes something of the test's own when it is over. */
  atEnd(close: () => unknown): void
}

/** Called at the top of a test file: starts and stops what the tests use, each test's own things after it. */
export function useTestQueue(): TestQueue {
  let server: TestRedis
  let redis: Redis
  let client: TestClient
  const closing: (() => unknown)[] = []

  const connect = async (options: Partial<typeof limits> = {}): Promise<TestClient> => {
    const opened = testClient(
      openJobClient({ redisUrl: server.url, commandTimeoutMs: 500, log: quiet, ...limits, ...options }),
    )
    closing.push(() => opened.close())
    await vi.waitFor(async () => opened.ping())
    return opened
  }

  beforeAll(async () => {
    server = await startTestRedis()
  })
  afterAll(async () => {
    await server.stop()
  })
  beforeEach(async () => {
    redis = new Redis(server.url)
    await redis.flushall()
    client = await connect()
  })
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close()
    redis.disconnect()
  })

  return {
    get redis() {
      return redis
    },
    get url() {
      return server.url
    },
    get client() {
      return client
    },
    connect,
    consume(handle, options = {}) {
      const source = openJobSource({
        redisUrl: server.url,
        model: 'm',
        concurrency: 4,
        lockMs: 1000,
        stalledCheckMs: 300,
        handle,
        giveUp: async () => {},
        log: quiet,
        ...options,
      })
      closing.push(() => source.close())
    },
    listenForCancellations() {
      const cancellations = openCancellations({ redisUrl: server.url, log: quiet })
      closing.push(() => cancellations.close())
      return cancellations
    },
    atEnd: (close) => void closing.push(close),
    resultStore: (its = {}) => createResultStore({ redis, retention: { ...retention, ...its }, answerTtlMs: 60_000 }),
  }
}

export function blobPart(bytes: Uint8Array): BlobPart {
  const hash = createHash('sha256').update(bytes).digest('hex')
  return { kind: 'blob', name: 'image', hash, bytes: bytes.length, type: 'image/png' }
}

/** What is handed in with a job of these images. */
export function bytesByHash(...images: Uint8Array[]): Map<string, Uint8Array> {
  return new Map(images.map((bytes) => [blobPart(bytes).hash, bytes]))
}

/** `image`, as it is handed in with a job. */
export const blobs = bytesByHash(image)
/** Handed in with a job whose blobs are stored already. */
export const noBlobs: BlobBytes = new Map()

/** The hash of the first image of a job. */
export function hashOf(job: QueuedJob): string {
  return blobsOf(job)[0]?.hash ?? ''
}

/** Where the bytes of the first image of a job are in Redis. */
export function bytesKeyOf(job: QueuedJob): string {
  return blobBytesKey({ space: job.answersOf, hash: hashOf(job) })
}

let made = 0
export function newJob(bytes: Buffer = image): QueuedJob {
  made += 1
  return {
    version: 2,
    id: `job_${String(made).padStart(21, '0')}`,
    model: 'm',
    modelVersion: '1',
    versionPinned: false,
    parts: [blobPart(bytes), { kind: 'text', name: 'question', text: 'q' }],
    input: {},
    parameters: {},
    metadata: { order: '42' },
    createdAt: Date.now(),
    deadlineAt: null,
    cache: false,
    replyTo: null,
    owner: null,
    answersOf: null,
    priority: 'normal',
    retryOf: null,
  }
}

export function succeeded(job: QueuedJob, answer: string): FinalJob {
  return finalJob(job, { status: 'succeeded', output: { answer }, attempts: 1, startedAt: Date.now() }, 60_000)
}
