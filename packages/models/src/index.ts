export { type ChatFiles, type ChatTemplateFile } from './chat-files.ts'
export {
  type ExecutionOptions,
  executionOptionsSchema,
  type ProviderRefusal,
  type Variant,
  variantSchema,
} from './execution-options.ts'
export { fingerprintFolder } from './fingerprint.ts'
export { checkDigest } from './folder-files.ts'
export type { GenerationFiles } from './generation-config.ts'
export { type GraphFile, inspectGraph } from './graph-files.ts'
export { findModel, listModels, locateFolder, type ModelLocation, toModelName, versionFolders } from './find-model.ts'
export { ownTask } from './folder-code.ts'
export { type ModelFolder, readModelFolder, type TextPadding } from './model-folder.ts'
export type { TokenizerFiles } from './tokenizer-files.ts'
export { type GraphFacts, readGraphFacts } from './onnx-graph.ts'
export { type Preprocessing, type ResizeKernel, toColours, toPreprocessing } from './preprocessing.ts'
export { type PreprocessorConfig, preprocessorConfigSchema } from './preprocessor-config.ts'
export { readRemoteModel, type RemoteEngine, remoteKeyPrefix, type RemoteModel, runsHere } from './remote-model.ts'
export { type Resize, resizedSize, roundEven, type Size } from './resize-rules.ts'
export { piecesField, type Tiling, toTiling } from './tiling.ts'
