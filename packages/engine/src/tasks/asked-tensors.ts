/**
 * How tensors are asked for and answered, for those who have them computed elsewhere by the same questions. Nothing here
 * loads ONNX Runtime or the image library.
 */
export { byteSizeOf, countOf, type ExactTensor, type ExactType } from '../onnx/exact-tensor.ts'
export { ownTensorsSchema, tensorsOutputSchema, tensorsParametersSchema, refused, tooMuch } from './tensor-forms.ts'
export { parseInput } from './task.ts'
export { parseTensor, printTensor, type WantedTensor } from './tensor-json.ts'
