export { createEnginePool } from './engine-pool.ts'
export {
  type EnginePool,
  type EnginePoolOptions,
  HandedBackError,
  ImagesUnreadError,
  type InferenceRequest,
  type InferenceResult,
} from './inference.ts'
export { probeProvider } from './provider-probe.ts'
