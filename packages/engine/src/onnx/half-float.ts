/**
 * float16 tensors travel as Uint16Array, the bits of IEEE 754 half floats: Node 20 has no
 * Float16Array, and on those that have one ONNX Runtime's binding reads it as empty.
 */
const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)
/** What each of the half floats stands for; made when the first is read. */
let table: Float32Array | null = null

/** The nearest half float's bits, ties to even; beyond 65504 it is infinity. */
export function toHalf(value: number): number {
  float[0] = value
  const word = bits[0] ?? 0
  const sign = (word >>> 16) & 0x8000
  const exponent = (word >>> 23) & 0xff
  const mantissa = word & 0x7fffff
  if (exponent === 0xff) return sign | 0x7c00 | (mantissa === 0 ? 0 : 0x200)
  const shifted = exponent - 112
  if (shifted >= 31) return sign | 0x7c00
  // Rounding may carry into the exponent, which is then right as well.
  if (shifted > 0) return sign | roundedShift((shifted << 23) | mantissa, 13)
  if (shifted < -10) return sign
  return sign | roundedShift(mantissa | 0x800000, 14 - shifted)
}

function roundedShift(value: number, by: number): number {
  const kept = value >>> by
  const rest = value & ((1 << by) - 1)
  const half = 1 << (by - 1)
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept
}

/** The number that a half float's bits stand for. */
export function fromHalf(half: number): number {
  const sign = (half & 0x8000) === 0 ? 1 : -1
  const exponent = (half >>> 10) & 0x1f
  const mantissa = half & 0x3ff
  if (exponent === 0) return sign * mantissa * 2 ** -24
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15)
}

export function fromHalves(halves: Uint16Array): Float32Array {
  table ??= Float32Array.from({ length: 65_536 }, (_, half) => fromHalf(half))
  const floats = new Float32Array(halves.length)
  for (let index = 0; index < halves.length; index += 1) floats[index] = table[halves[index] ?? 0] ?? 0
  return floats
}

export function toHalves(numbers: ArrayLike<number>): Uint16Array {
  const halves = new Uint16Array(numbers.length)
  for (let index = 0; index < halves.length; index += 1) halves[index] = toHalf(numbers[index] ?? 0)
  return halves
}
