/**
 * What an engine process is made of, for programs that make one of their own: tests that need an
 * engine with bad manners. Loads ONNX Runtime and the image library.
 */
export { startEngine, type EngineChannel, type EngineModel } from './engine.ts'
export { engineOptionsSchema, type EngineJob, type EngineOptions } from './engine-protocol.ts'
export { limitImageLibrary } from './image-preprocessing.ts'
export { loadModel, type LoadedModel } from './model.ts'
export { createStepBatcher } from './step-batcher.ts'
export { parentChannel } from './parent-channel.ts'
