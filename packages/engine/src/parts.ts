/**
 * What an engine process is made of, for programs that make one of their own: tests that need an
 * engine with bad manners, and the pool that runs a model in its own process. Loads ONNX Runtime and the image library.
 */
export { createStepBatcher } from './batching/step-batcher.ts'
export { type EngineChannel, type EngineModel, startEngine } from './engine.ts'
export { limitImageLibrary } from './images/image-preprocessing.ts'
export { loadModel } from './model.ts'
export { parentChannel } from './parent-channel.ts'
