/** For processes that take jobs: nothing here loads ONNX Runtime or the image library. */
export { availableCores } from './cores.ts'
export { createEnginePool } from './engine-pool.ts'
export { executionOptionsSchema, type ExecutionOptions } from './execution-options.ts'
export {
  HandedBackError,
  type EnginePool,
  type EnginePoolOptions,
  type EngineTrouble,
  type InferenceRequest,
  type InferenceResult,
} from './inference.ts'
export type { TextPiece } from './generation/text-stream.ts'
export { int8Saturates } from './int8-instructions.ts'
export { findModel, listModels, readModelFolder, type ModelFolder, type ModelLocation } from './model-folder.ts'
export { probeProvider } from './provider-probe.ts'
export type { RuntimeLog } from './runtime-log.ts'
