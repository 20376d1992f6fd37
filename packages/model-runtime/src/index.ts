/** For processes that take jobs: nothing here loads ONNX Runtime or the image library. */
export {
  createEnginePool,
  HandedBackError,
  type EnginePool,
  type EnginePoolOptions,
  type InferenceRequest,
  type InferenceResult,
} from './engine-pool.ts'
export { findModel, listModels, readModelFolder, type ModelFolder, type ModelLocation } from './model-folder.ts'
export type { RuntimeLog } from './runtime-log.ts'
