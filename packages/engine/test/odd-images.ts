import sharp, { type Sharp } from 'sharp'

import { makeExif, withMetadata } from './containers.ts'
import {
  curves,
  gamma,
  greyToSrgb,
  makeProfile,
  primaries,
  tablePrimaries,
  type ToneCurve,
  toSrgb,
} from './icc-profiles.ts'

/** A file and what it shows, made by code: four areas, of which each has one colour. */
export interface OddImage {
  name: string
  bytes: Buffer
  /** Bytes of sRGB that a right decoder gives, upright: top left, top right, bottom left, bottom right. */
  expected: number[][]
}

const size = { width: 96, height: 64 }
const areas = [
  [200, 60, 40],
  [40, 150, 70],
  [60, 80, 190],
  [128, 128, 128],
]
const greys = [220, 40, 90, 140]
/** Of the area at the bottom right, where there is any transparency. */
const halfClear = 128

/** What each orientation puts at the four places; by EXIF 3.0, 4.6.5. */
const upright = [
  [0, 1, 2, 3],
  [1, 0, 3, 2],
  [3, 2, 1, 0],
  [2, 3, 0, 1],
  [0, 2, 1, 3],
  [2, 0, 3, 1],
  [3, 1, 2, 0],
  [1, 3, 0, 2],
] as const

type Convert = (stored: number[]) => number[]
interface NamedProfile {
  name: string
  profile?: Buffer
  convert: Convert
}

const same: Convert = (stored) => stored
const rgb = (name: string, curve: ToneCurve, xyz = primaries.srgb, version: 2 | 4 = 4): NamedProfile => ({
  name,
  profile: makeProfile({ space: 'RGB ', version, name, curve, primaries: xyz }),
  convert: (stored) => toSrgb(stored, { curve, primaries: xyz }),
})
const grey = (name: string, curve: ToneCurve): NamedProfile => ({
  name,
  profile: makeProfile({ space: 'GRAY', name, curve }),
  convert: ([stored = 0]) => Array<number>(3).fill(greyToSrgb(stored, curve)),
})
const srgb = makeProfile({ space: 'RGB ' })

const none: NamedProfile = { name: 'no profile', convert: same }
const unfit: NamedProfile[] = [
  { name: 'a profile that is no profile', profile: Buffer.alloc(srgb.length, 'sRGB'), convert: same },
  { name: 'a profile cut off', profile: srgb.subarray(0, 240), convert: same },
  { name: 'a CMYK profile', profile: makeProfile({ space: 'CMYK', table: true }), convert: same },
]
const rgbProfiles: NamedProfile[] = [
  none,
  rgb('sRGB, table, version 2', curves.srgbTable, primaries.srgb, 2),
  rgb('c2', curves.srgbParametric),
  rgb('a screen like sRGB', curves.srgbParametricFull),
  rgb('GIMP built-in Linear sRGB', curves.identity),
  rgb('linear sRGB, parametric', curves.linearParametric),
  rgb('linear sRGB, table of two', curves.linearTable, primaries.srgb, 2),
  rgb('sRGB with gamma 2.2', gamma(2.2)),
  rgb('sRGB with gamma 1.8', gamma(1.8), primaries.srgb, 2),
  rgb('sRGB, but Display P3', curves.srgbParametric, primaries.p3),
  rgb('Adobe RGB', gamma(2.2), primaries.adobe, 2),
  rgb('ProPhoto', gamma(1.8), primaries.prophoto, 2),
  {
    name: 'sRGB with a table of colours',
    profile: makeProfile({ space: 'RGB ', name: 'sRGB', table: true }),
    convert: (stored) => toSrgb(stored, { curve: curves.identity, primaries: tablePrimaries }),
  },
  { ...grey('a grey profile, linear', curves.identity), convert: same },
  ...unfit,
]
const greyProfiles: NamedProfile[] = [
  none,
  grey('grey, gamma 2.2', gamma(2.2)),
  grey('sRGB grey, linear', curves.identity),
  grey('grey, gamma 1.8', gamma(1.8)),
  grey('sRGB grey', curves.srgbTable),
  { ...rgb('sRGB, for grey', curves.srgbTable), convert: same },
  { ...rgb('linear sRGB, for grey', curves.identity), convert: same },
  ...unfit,
]

/** The pixels of the four areas, of any number of channels, with 8 or 16 bits. */
function fourAreas(colours: readonly number[][], depth: 8 | 16): Sharp {
  const channels = colours[0]?.length ?? 0
  if (channels !== 1 && channels !== 2 && channels !== 3 && channels !== 4) throw new Error('too many channels')
  const values = Array.from({ length: size.width * size.height }, (_, index) => {
    const isRight = index % size.width >= size.width / 2
    const isBottom = index >= (size.width * size.height) / 2
    return colours[(isBottom ? 2 : 0) + (isRight ? 1 : 0)] ?? []
  }).flat()
  const raw = depth === 8 ? Uint8Array.from(values) : Uint16Array.from(values, (value) => value * 257)
  const image = sharp(raw, { raw: { ...size, channels } })
  if (depth === 8) return channels < 3 ? image.toColourspace('b-w') : image
  return image.toColourspace(channels < 3 ? 'grey16' : 'rgb16')
}

type Writer = [name: string, write: (image: Sharp) => Sharp, depth?: 16]

const jpegs: Writer[] = [
  ['JPEG 4:4:4', (image) => image.jpeg({ quality: 98, chromaSubsampling: '4:4:4' })],
  ['JPEG 4:2:0', (image) => image.jpeg({ quality: 98, chromaSubsampling: '4:2:0' })],
  ['progressive JPEG 4:4:4', (image) => image.jpeg({ quality: 98, chromaSubsampling: '4:4:4', progressive: true })],
  ['progressive JPEG 4:2:0', (image) => image.jpeg({ quality: 98, chromaSubsampling: '4:2:0', progressive: true })],
]
const pngs: Writer[] = [
  ['PNG', (image) => image.png()],
  ['interlaced PNG', (image) => image.png({ progressive: true })],
  ['PNG of 16 bits', (image) => image.png(), 16],
  ['interlaced PNG of 16 bits', (image) => image.png({ progressive: true }), 16],
]
const webps: Writer[] = [
  ['WebP', (image) => image.webp({ quality: 100, smartSubsample: true })],
  ['lossless WebP', (image) => image.webp({ lossless: true })],
]
const palettes: Writer[] = [['PNG with a palette', (image) => image.png({ palette: true, colours: 8, dither: 0 })]]

/** Every colour type in every container with every profile, the eight orientations by turns. */
export async function makeOddImages(): Promise<OddImage[]> {
  const clear = areas.map((colour, index) => [...colour, index === 3 ? halfClear : 255])
  const families: [kind: string, colours: number[][], Writer[], NamedProfile[]][] = [
    ['RGB', areas, [...jpegs, ...pngs, ...webps, ...palettes], rgbProfiles],
    ['RGBA', clear, [...pngs, ...webps], rgbProfiles.slice(0, 12)],
    ['grey', greys.map((value) => [value]), [...jpegs.slice(1, 3), ...pngs], greyProfiles],
    ['grey and alpha', greys.map((value, index) => [value, index === 3 ? halfClear : 255]), pngs, greyProfiles],
  ]
  const all = families.flatMap(([kind, colours, writers, profiles]) =>
    writers.flatMap((writer) => profiles.map((profile) => ({ kind, colours, writer, profile }))),
  )
  return Promise.all(
    all.map(async ({ kind, colours, writer: [format, write, depth], profile: { name, profile, convert } }, index) => {
      const orientation = (index % 8) + 1
      const image = await write(fourAreas(colours, depth ?? 8)).toBuffer()
      const exif = makeExif({ orientation, littleEndian: index % 3 > 0 })
      const shown = colours.map((colour) => onWhite(convert(colour.slice(0, colour.length < 3 ? 1 : 3)), colour))
      return {
        name: `${kind}, ${format}, ${name}, orientation ${orientation}`,
        bytes: withMetadata(image, { ...size, exif, profile }),
        expected: (upright[orientation - 1] ?? []).map((area) => shown[area] ?? []),
      }
    }),
  )
}

function onWhite(colour: number[], { length, ...values }: readonly number[]): number[] {
  const alpha = length === 2 || length === 4 ? (values[length - 1] ?? 255) / 255 : 1
  const [red = 0, green = red, blue = red] = colour
  return [red, green, blue].map((value) => value * alpha + 255 * (1 - alpha))
}
