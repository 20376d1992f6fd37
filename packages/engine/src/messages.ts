/** What a pool and its engines say to each other. Nothing here loads ONNX Runtime or the image library. */
export type { Launch } from './batching/launch.ts'
export type { BatchRun, GenerationTimes } from './batching/run-or-split.ts'
export {
  type BlobSource,
  type EngineAnswer,
  type EngineJob,
  type EngineOptions,
  engineOptionsSchema,
  type EngineText,
  engineProtocol,
  type FromEngine,
  type ToEngine,
} from './engine-protocol.ts'
export { readFromEngine } from './read-messages.ts'
export type { TextPiece } from './generation/text-stream.ts'
export type { TaskOutput } from './task-output.ts'
