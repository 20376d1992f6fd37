/** Where the fields of an ICC profile stand, by ICC.1:2022, 7.2 and 7.3. */
const colourSpaceAt = 16
const connectionSpaceAt = 20
const signatureAt = 36
const tagCountAt = 128
const tagTableAt = 132
const tagLength = 12
const mostTags = 100

/**
 * Red, green and blue of sRGB as XYZ under D50, and by how much another writing of them may differ: profiles round
 * to 1/65536 or to four digits, and adapt from D65 in ways of their own. Other colour spaces are off by 0.03 or more.
 */
const srgbPrimaries = {
  rXYZ: [0.4361, 0.2225, 0.0139],
  gXYZ: [0.3851, 0.7169, 0.0971],
  bXYZ: [0.1431, 0.0606, 0.7141],
} as const
const primaryTolerance = 0.002

/** In levels of 255, as sRGB stores them, so that no pixel would be changed by more. */
const curveTolerance = 1

/**
 * Whether a profile describes sRGB, judged by its primaries and curves and not by its name: "GIMP built-in Linear
 * sRGB" is none, and a phone's "c2" is one. False for profiles with tables of colours (A2B0 and its kin), which may
 * say anything, and for those that can't be read; they are libvips' to apply.
 */
export function isSrgbProfile(profile: Buffer): boolean {
  try {
    const text = (at: number): string => profile.toString('latin1', at, at + 4)
    if (text(signatureAt) !== 'acsp' || text(colourSpaceAt) !== 'RGB ' || text(connectionSpaceAt) !== 'XYZ ')
      return false
    const tags = tagsOf(profile)
    if ([...tags.keys()].some((name) => name.startsWith('A2B') || name.startsWith('D2B'))) return false
    return (
      Object.entries(srgbPrimaries).every(([name, expected]) => isNear(readXyz(tags.get(name)), expected)) &&
      ['rTRC', 'gTRC', 'bTRC'].every((name) => isSrgbCurve(readCurve(tags.get(name))))
    )
  } catch (error) {
    // A field that lies outside of the profile.
    if (error instanceof RangeError) return false
    throw error
  }
}

function tagsOf(profile: Buffer): Map<string, Buffer> {
  const tags = new Map<string, Buffer>()
  const count = Math.min(profile.readUInt32BE(tagCountAt), mostTags)
  for (let tag = 0; tag < count; tag += 1) {
    const at = tagTableAt + tag * tagLength
    const from = profile.readUInt32BE(at + 4)
    const name = profile.toString('latin1', at, at + 4)
    tags.set(name, profile.subarray(from, from + profile.readUInt32BE(at + 8)))
  }
  return tags
}

function isNear(actual: readonly number[] | null, expected: readonly number[]): boolean {
  return (
    actual !== null && expected.every((value, index) => Math.abs((actual[index] ?? NaN) - value) < primaryTolerance)
  )
}

/** 10.31: three s15Fixed16 numbers. */
function readXyz(tag: Buffer | undefined): number[] | null {
  if (tag?.toString('latin1', 0, 4) !== 'XYZ ') return null
  return [8, 12, 16].map((at) => tag.readInt32BE(at) / 65_536)
}

type Curve = (value: number) => number

/** From 0..1 as stored to 0..1 linear. */
function readCurve(tag: Buffer | undefined): Curve | null {
  const type = tag?.toString('latin1', 0, 4)
  if (tag === undefined || (type !== 'curv' && type !== 'para')) return null
  return type === 'curv' ? tableCurve(tag) : parametricCurve(tag)
}

/** 10.6: no entry is the identity, one is a gamma as u8Fixed8, more are a table. */
function tableCurve(tag: Buffer): Curve {
  const count = tag.readUInt32BE(8)
  if (count === 0) return (value) => value
  if (count === 1) return (value) => value ** (tag.readUInt16BE(12) / 256)
  return (value) => {
    const place = value * (count - 1)
    const below = Math.min(Math.floor(place), count - 2)
    const [from, to] = [tag.readUInt16BE(12 + below * 2), tag.readUInt16BE(14 + below * 2)]
    return (from + (to - from) * (place - below)) / 65_535
  }
}

/** 10.18: g, a, b, c, d, e and f, of which each type of function has the first few. */
function parametricCurve(tag: Buffer): Curve | null {
  const type = tag.readUInt16BE(8)
  const parameter = (index: number): number => tag.readInt32BE(12 + index * 4) / 65_536
  const g = parameter(0)
  if (type === 0) return (value) => value ** g
  // Types 1 and 2, a power with an offset, are nobody's sRGB.
  if (type !== 3 && type !== 4) return null
  const [a, b, c, d] = [parameter(1), parameter(2), parameter(3), parameter(4)]
  const [e, f] = type === 4 ? [parameter(5), parameter(6)] : [0, 0]
  return (value) => (value >= d ? (a * value + b) ** g + e : c * value + f)
}

/** IEC 61966-2-1: from linear to what is stored. */
function srgbStored(linear: number): number {
  return linear <= 0.0031308 ? linear * 12.92 : 1.055 * linear ** (1 / 2.4) - 0.055
}

function isSrgbCurve(curve: Curve | null): boolean {
  if (curve === null) return false
  // Every fifth value tells the curves apart, and it happens on the thread that runs the model.
  for (let byte = 0; byte <= 255; byte += 5) {
    // The comparison is false for NaN as well.
    if (!(Math.abs(srgbStored(curve(byte / 255)) * 255 - byte) <= curveTolerance)) return false
  }
  return true
}
