/**
 * ONNX files for tests, written byte by byte in their protobuf form: small graphs, made in a moment, that
 * need no Python.
 */

// ONNX's element types, and the field numbers of its messages (onnx.proto) where they are used.
export const FLOAT = 1
export const UINT8 = 2
export const INT32 = 6
export const INT64 = 7
export const BOOL = 9
export const FLOAT16 = 10

export function node(
  operator: string,
  inputs: string[],
  output: string | string[],
  attributes: Uint8Array[] = [],
): Uint8Array {
  const outputs = [output].flat().map((name) => text(2, name))
  const parts = [...inputs.map((input) => text(1, input)), ...outputs, text(4, operator)]
  return bytes(1, message(...parts, ...attributes.map((attribute) => bytes(5, attribute))))
}

export function int(name: string, number: number): Uint8Array {
  return message(text(1, name), integer(3, number), integer(20, 2))
}

export function ints(name: string, numbers: number[]): Uint8Array {
  return message(text(1, name), ...numbers.map((number) => integer(8, number)), integer(20, 7))
}

export function value(field: number, name: string, type: number, dims: (number | string)[]): Uint8Array {
  const shape = dims.map((dim) => bytes(1, typeof dim === 'number' ? integer(1, dim) : text(2, dim)))
  const tensor = message(integer(1, type), bytes(2, message(...shape)))
  return bytes(field, message(text(1, name), bytes(2, bytes(1, tensor))))
}

function varint(number: number): number[] {
  return number < 128 ? [number] : [(number % 128) + 128, ...varint(Math.floor(number / 128))]
}

export function integer(field: number, number: number): Uint8Array {
  return Uint8Array.from([...varint(field * 8), ...varint(number)])
}

export function bytes(field: number, content: Uint8Array): Uint8Array {
  return message(Uint8Array.from([...varint(field * 8 + 2), ...varint(content.length)]), content)
}

export function text(field: number, content: string): Uint8Array {
  return bytes(field, new TextEncoder().encode(content))
}

export function floats(numbers: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(numbers).buffer)
}

export function message(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts))
}

/** A weight of float32; `file` puts its bytes into a file beside the graph. */
export function weight(name: string, dims: number[], values: number[], file?: string): Uint8Array {
  const entry = (key: string, itsValue: string): Uint8Array => bytes(13, message(text(1, key), text(2, itsValue)))
  const place = file === undefined ? [bytes(9, floats(values))] : [entry('location', file), integer(14, 1)]
  const shape = dims.map((dim) => integer(1, dim))
  return bytes(5, message(...shape, integer(2, FLOAT), text(8, name), ...place))
}

/** A constant of int64; without dimensions, one number. */
export function constant(name: string, dims: number[], values: number[]): Uint8Array {
  const raw = new Uint8Array(BigInt64Array.from(values, BigInt).buffer)
  const shape = dims.map((dim) => integer(1, dim))
  return bytes(5, message(...shape, integer(2, INT64), text(8, name), bytes(9, raw)))
}

/** A node of ONNX Runtime's own operators, for `microsoftModel`. */
export function microsoftNode(
  operator: string,
  inputs: string[],
  output: string[],
  attributes: Uint8Array[] = [],
): Uint8Array {
  const named = [...inputs.map((input) => text(1, input)), ...output.map((name) => text(2, name)), text(4, operator)]
  return bytes(1, message(...named, ...attributes.map((attribute) => bytes(5, attribute)), text(7, 'com.microsoft')))
}

/** A graph as an attribute, such as a branch of `If`. */
export function innerGraph(name: string, ...parts: Uint8Array[]): Uint8Array {
  return message(text(1, name), bytes(6, message(text(2, name), ...parts)), integer(20, 5))
}

/** As `model`, with the operators of com.microsoft. */
export function microsoftModel(...parts: Uint8Array[]): Uint8Array {
  return message(model(...parts), bytes(8, message(text(1, 'com.microsoft'), integer(2, 1))))
}

/** The parts of a graph as a whole file. */
export function model(...parts: Uint8Array[]): Uint8Array {
  const graph = message(text(2, 'tiny'), ...parts)
  return message(integer(1, 8), bytes(7, graph), bytes(8, message(integer(2, 13))))
}
