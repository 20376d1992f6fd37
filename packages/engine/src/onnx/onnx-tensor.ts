import { Tensor } from 'onnxruntime-node'

import { byteSizeOf, type ExactTensor, isExactType } from './exact-tensor.ts'

/** For a run. The numbers are looked at where they lie, or copied where they don't lie as their type has to. */
export function toOnnxTensor({ type, dims: shape, bytes }: ExactTensor): Tensor {
  const isInPlace = bytes.byteOffset % byteSizeOf(type) === 0
  const { buffer, byteOffset } = isInPlace ? bytes : new Uint8Array(bytes)
  const at = [buffer, byteOffset, bytes.length / byteSizeOf(type)] as const
  const dims = [...shape]
  switch (type) {
    case 'float32':
      return new Tensor(type, new Float32Array(...at), dims)
    case 'float64':
      return new Tensor(type, new Float64Array(...at), dims)
    case 'float16': {
      const data = new Uint16Array(...at)
      // See toTensor of session.ts: the tensor must not wrap the bits in a Float16Array.
      return Object.defineProperty(new Tensor(type, data, dims), 'data', { value: data })
    }
    case 'int8':
      return new Tensor(type, new Int8Array(...at), dims)
    case 'int16':
      return new Tensor(type, new Int16Array(...at), dims)
    case 'int32':
      return new Tensor(type, new Int32Array(...at), dims)
    case 'int64':
      return new Tensor(type, new BigInt64Array(...at), dims)
    case 'uint8':
    case 'bool':
      return new Tensor(type, new Uint8Array(...at), dims)
    case 'uint16':
      return new Tensor(type, new Uint16Array(...at), dims)
    case 'uint32':
      return new Tensor(type, new Uint32Array(...at), dims)
    case 'uint64':
      return new Tensor(type, new BigUint64Array(...at), dims)
    default:
      return type satisfies never
  }
}

/** Of a run. Throws for types that are none of ours, such as strings. */
export function fromOnnxTensor(
  name: string,
  { type, data, dims }: Pick<Tensor, 'type' | 'data' | 'dims'>,
): ExactTensor {
  if (!isExactType(type) || !ArrayBuffer.isView(data)) throw new TypeError(`${name} is of the type ${type}`)
  return { type, dims, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }
}
