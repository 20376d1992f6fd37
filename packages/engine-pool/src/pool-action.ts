import type { TextPiece, ToEngine } from '@vision-queue/engine/messages'
import type { ModelManifest } from '@vision-queue/protocol'

import type { Engine } from './engine.ts'
import type { InferenceResult } from './inference.ts'
import type { PoolJob } from './pool-job.ts'

/** What is to be done to an engine's process. */
export type EngineAction =
  | { kind: 'start'; engine: Engine }
  | { kind: 'send'; engine: Engine; message: ToEngine }
  | { kind: 'kill'; engine: Engine }
  | { kind: 'give-way'; engine: Engine }
  /** Tell it where images are, if the pool was told. */
  | { kind: 'open-blobs'; engine: Engine }

/** What is to be done after an event. The rules only name it; the executor does it, in this order. */
export type Action =
  | EngineAction
  | { kind: 'resolve'; job: PoolJob; result: InferenceResult }
  | { kind: 'reject'; job: PoolJob; reason: unknown }
  | { kind: 'text'; job: PoolJob; piece: TextPiece }
  | { kind: 'launched'; callerIds: string[] }
  | { kind: 'ready'; manifest: ModelManifest }
  /** The pool will never be ready. */
  | { kind: 'not-ready'; reason: Error }
  | { kind: 'trouble-changed' }
  | { kind: 'log'; level: 'info' | 'warn' | 'error'; fields: object; message: string }
