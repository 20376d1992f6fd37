export { createEnginePool } from './engine-pool.ts'
export { type EnginePool, HandedBackError, type InferenceResult } from './inference.ts'
export { probeProvider } from './provider-probe.ts'
