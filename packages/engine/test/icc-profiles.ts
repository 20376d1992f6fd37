/** From 0..1 as stored to 0..1 linear, and as a profile writes it (ICC.1:2022, 10.6 and 10.18). */
export interface ToneCurve {
  linear: (stored: number) => number
  tag: Buffer
}

const text = (name: string): Buffer => Buffer.from(name, 'latin1')
const fixed = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) bytes.writeInt32BE(Math.round(value * 65_536), index * 4)
  return bytes
}
const u16 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 2)
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, index * 2)
  return bytes
}
const u32 = (value: number): Buffer => Buffer.concat([u16(Math.floor(value / 65_536), value % 65_536)])

const srgbLinear = (stored: number): number => (stored <= 0.04045 ? stored / 12.92 : ((stored + 0.055) / 1.055) ** 2.4)

export function gamma(exponent: number): ToneCurve {
  return {
    linear: (stored) => stored ** exponent,
    tag: Buffer.concat([text('curv\0\0\0\0'), u32(1), u16(Math.round(exponent * 256))]),
  }
}

/** `linear` as a table with so many places. */
function table(places: number, linear: (stored: number) => number): ToneCurve {
  const entries = Array.from({ length: places }, (_, place) => Math.round(linear(place / (places - 1)) * 65_535))
  return { linear, tag: Buffer.concat([text('curv\0\0\0\0'), u32(places), u16(...entries)]) }
}

const parametric = (type: number, values: number[], linear: (stored: number) => number): ToneCurve => ({
  linear,
  tag: Buffer.concat([text('para\0\0\0\0'), u16(type, 0), fixed(...values)]),
})

export const curves = {
  identity: { linear: (stored: number) => stored, tag: Buffer.concat([text('curv\0\0\0\0'), u32(0)]) },
  srgbTable: table(1024, srgbLinear),
  srgbParametric: parametric(3, [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045], srgbLinear),
  srgbParametricFull: parametric(4, [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, 0, 0], srgbLinear),
  linearParametric: parametric(0, [1], (stored) => stored),
  linearTable: table(2, (stored) => stored),
}

/** Red, green and blue as XYZ under D50. */
export const primaries = {
  srgb: [0.43607, 0.22249, 0.01392, 0.38515, 0.71687, 0.09708, 0.14307, 0.06061, 0.7141],
  p3: [0.51512, 0.2412, -0.00105, 0.29198, 0.69225, 0.04189, 0.1571, 0.06657, 0.78407],
  adobe: [0.60974, 0.31111, 0.01947, 0.20528, 0.62567, 0.06087, 0.14919, 0.06322, 0.74457],
  prophoto: [0.79767, 0.28804, 0, 0.13519, 0.71188, 0, 0.03134, 0.00009, 0.82491],
}

export interface ProfileOptions {
  space: 'RGB ' | 'GRAY' | 'CMYK'
  version?: 2 | 4
  name?: string
  curve?: ToneCurve
  primaries?: number[]
  /**
   * Adds A2B0, a table of colours, which counts for more than curves and primaries. Of RGB it says that the bytes are
   * linear and that red and blue have changed places (`tablePrimaries`); of CMYK that all colours are greys.
   */
  table?: boolean
}

/** A whole profile, of our own making. */
export function makeProfile(options: ProfileOptions): Buffer {
  const { space, version = 4, name = 'made', curve = curves.srgbTable, primaries: xyz = primaries.srgb } = options
  const tags: [string, Buffer][] = [
    ['desc', version === 4 ? describe4(name) : describe2(name)],
    ['wtpt', Buffer.concat([text('XYZ \0\0\0\0'), fixed(0.9642, 1, 0.8249)])],
  ]
  if (space === 'GRAY') tags.push(['kTRC', curve.tag])
  if (space === 'RGB ') {
    for (const [index, letter] of ['r', 'g', 'b'].entries()) {
      tags.push([`${letter}XYZ`, Buffer.concat([text('XYZ \0\0\0\0'), fixed(...xyz.slice(index * 3, index * 3 + 3))])])
      tags.push([`${letter}TRC`, curve.tag])
    }
  }
  if (options.table === true) tags.push(['A2B0', space === 'CMYK' ? cmykTable() : rgbTable()])
  return assemble(tags, { version, space, connection: space === 'CMYK' ? 'Lab ' : 'XYZ ' })
}

function assemble(tags: [string, Buffer][], head: { version: number; space: string; connection: string }): Buffer {
  const rows: Buffer[] = []
  const contents: Buffer[] = []
  let at = 128 + 4 + tags.length * 12
  for (const [name, content] of tags) {
    const padded = Buffer.concat([content, Buffer.alloc((4 - (content.length % 4)) % 4)])
    rows.push(text(name), u32(at), u32(content.length))
    contents.push(padded)
    at += padded.length
  }
  const header = Buffer.alloc(128)
  header.writeUInt32BE(at, 0)
  header[8] = head.version
  header.write(`mntr${head.space}${head.connection}`, 12, 'latin1')
  u16(2026, 1, 1, 0, 0, 0).copy(header, 24)
  header.write('acsp', 36, 'latin1')
  fixed(0.9642, 1, 0.8249).copy(header, 68)
  return Buffer.concat([header, u32(tags.length), ...rows, ...contents])
}

function describe2(name: string): Buffer {
  return Buffer.concat([text('desc\0\0\0\0'), u32(name.length + 1), text(`${name}\0`), Buffer.alloc(78)])
}

function describe4(name: string): Buffer {
  const wide = Buffer.from(name, 'utf16le').swap16()
  return Buffer.concat([text('mluc\0\0\0\0'), u32(1), u32(12), text('enUS'), u32(wide.length), u32(28), wide])
}

export const tablePrimaries = [...primaries.srgb.slice(6), ...primaries.srgb.slice(3, 6), ...primaries.srgb.slice(0, 3)]

/** All corners of a cube, the last coordinate first to change. */
const corners = (dimensions: number): number[][] =>
  Array.from({ length: 2 ** dimensions }, (_, corner) =>
    Array.from({ length: dimensions }, (__, index) => (corner >> (dimensions - 1 - index)) & 1),
  )

/** 10.10, lut16Type with two grid points a colour; XYZ of 1 is written as 32768. */
function rgbTable(): Buffer {
  const xyz = corners(3).map((corner) =>
    [0, 1, 2].map((row) =>
      corner.reduce((sum, value, column) => sum + value * (tablePrimaries[column * 3 + row] ?? 0), 0),
    ),
  )
  return Buffer.concat([
    text('mft2\0\0\0\0'),
    Buffer.from([3, 3, 2, 0]),
    fixed(1, 0, 0, 0, 1, 0, 0, 0, 1),
    u16(2, 2),
    ...Array.from({ length: 3 }, () => u16(0, 65_535)),
    ...xyz.map((values) => u16(...values.map((value) => Math.round(value * 32_768)))),
    ...Array.from({ length: 3 }, () => u16(0, 65_535)),
  ])
}

/** 10.11, lut8Type with two grid points a colour, into Lab without a and b. */
function cmykTable(): Buffer {
  const ramp = Buffer.from(Array.from({ length: 256 }, (_, index) => index))
  return Buffer.concat([
    text('mft1\0\0\0\0'),
    Buffer.from([4, 3, 2, 0]),
    fixed(1, 0, 0, 0, 1, 0, 0, 0, 1),
    ...Array.from({ length: 4 }, () => ramp),
    ...corners(4).map(([c = 0, m = 0, y = 0, k = 0]) => Buffer.from([(1 - k) * (255 - 70 * (c + m + y)), 128, 128])),
    ...Array.from({ length: 3 }, () => ramp),
  ])
}

/** What a profile of primaries and curves makes of stored bytes, as bytes of sRGB. */
export function toSrgb(
  stored: readonly number[],
  { curve, primaries: xyz }: Required<Pick<ProfileOptions, 'curve' | 'primaries'>>,
): number[] {
  const linear = stored.map((byte) => curve.linear(byte / 255))
  const at = (row: number, column: number): number => xyz[column * 3 + row] ?? NaN
  const [x = 0, y = 0, z = 0] = [0, 1, 2].map((row) =>
    linear.reduce((sum, value, column) => sum + value * at(row, column), 0),
  )
  // The inverse of sRGB's primaries under D50.
  return [
    3.13386 * x - 1.61687 * y - 0.49062 * z,
    -0.97877 * x + 1.91614 * y + 0.03345 * z,
    0.07194 * x - 0.22899 * y + 1.40524 * z,
  ].map(storedByte)
}

/** What a grey profile makes of a stored byte. */
export const greyToSrgb = (stored: number, curve: ToneCurve): number => storedByte(curve.linear(stored / 255))

function storedByte(linear: number): number {
  const value = Math.min(1, Math.max(0, linear))
  return 255 * (value <= 0.0031308 ? value * 12.92 : 1.055 * value ** (1 / 2.4) - 0.055)
}
