import { partsOf } from './parts.ts'

const orientationTag = 0x0112

/**
 * How the image has to be turned to stand upright, 1 to 8 by EXIF 3.0, 4.6.5: from 5 on width and height change
 * places. 1 where the file says nothing, or nothing that can be understood, as libvips does.
 */
export function orientationOf(file: Uint8Array): number {
  // RFC 9649, 2.7.1: a WebP without an extended header, or without this flag in it, has no EXIF.
  let isAnnounced = false
  for (const { name, content } of partsOf(file)) {
    if (name === 'VP8X') isAnnounced = ((content[0] ?? 0) & 0x08) !== 0
    // The first one counts. Other things that stand in an APP1 have other names.
    if (name === 'APP1' && content.toString('latin1', 0, 4) === 'Exif') return orientationInTiff(unnamed(content))
    if (name === 'eXIf') return orientationInTiff(content)
    if (name === 'EXIF') return isAnnounced ? orientationInTiff(unnamed(content)) : 1
  }
  return 1
}

/** Without the name that stands before EXIF in a JPEG, and that some programs write into WebPs as well. */
function unnamed(exif: Buffer): Buffer {
  return exif.toString('latin1', 0, 6) === 'Exif\0\0' ? exif.subarray(6) : exif
}

/** From the first directory, by TIFF 6.0, section 2. */
function orientationInTiff(tiff: Buffer): number {
  if (tiff.length < 8) return 1
  const order = tiff.toString('latin1', 0, 2)
  if (order !== 'II' && order !== 'MM') return 1
  const isLittle = order === 'II'
  const u16 = (at: number): number => (isLittle ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at))
  const u32 = (at: number): number => (isLittle ? tiff.readUInt32LE(at) : tiff.readUInt32BE(at))
  const directory = u32(4)
  if (u16(2) !== 42 || directory + 2 > tiff.length) return 1
  for (let entry = 0; entry < u16(directory); entry += 1) {
    const at = directory + 2 + entry * 12
    if (at + 12 > tiff.length) return 1
    if (u16(at) !== orientationTag) continue
    if (u32(at + 4) === 0) return 1
    const value = valueOf(u16(at + 2), { byte: tiff[at + 8] ?? 0, short: u16(at + 8), long: u32(at + 8) })
    return value >= 1 && value <= 8 ? value : 1
  }
  return 1
}

/** EXIF asks for a SHORT; some programs write other whole numbers. */
function valueOf(type: number, { byte, short, long }: { byte: number; short: number; long: number }): number {
  if (type === 1 || type === 6) return byte
  if (type === 3 || type === 8) return short
  if (type === 4 || type === 9) return long
  return 0
}
