import { pngChunk } from './png-file.ts'
import type { Random } from './random.ts'

/**
 * EXIF (TIFF 6.0 directories) that no camera wrote: directories that point at themselves, offsets behind the end,
 * counts of four billion, orientations that are none, and plain noise.
 */
export function makeHostileExif(random: Random): Buffer {
  const little = random.chance(0.5)
  const entries = random.pick([0, 1, 3, 12, 200, 0xffff])
  const written = Math.min(entries, 200)
  const bytes = Buffer.alloc(8 + 2 + written * 12 + 4 + 64)
  const u16 = (value: number, at: number): number =>
    little ? bytes.writeUInt16LE(value & 0xffff, at) : bytes.writeUInt16BE(value & 0xffff, at)
  const u32 = (value: number, at: number): number =>
    little ? bytes.writeUInt32LE(value >>> 0, at) : bytes.writeUInt32BE(value >>> 0, at)
  bytes.write(little ? 'II' : 'MM', 'latin1')
  u16(random.pick([42, 42, 42, 43, 0]), 2)
  u32(random.pick([8, 8, 8, 0, 4, 0xffffffff, bytes.length]), 4)
  u16(entries, 8)
  for (let index = 0; index < written; index += 1) {
    const at = 10 + index * 12
    // Orientation, the pointers to further directories, a thumbnail's place and length, a maker's note.
    u16(random.pick([0x0112, 0x8769, 0x8825, 0xa005, 0x0201, 0x0202, 0x927c, random.int(0, 0xffff)]), at)
    u16(random.pick([1, 2, 3, 4, 5, 7, 10, 0, 13, 0xffff]), at + 2)
    u32(random.pick([0, 1, 2, 0x7fffffff, 0xffffffff, random.int(0, 300)]), at + 4)
    u32(random.pick([0, 6, 8, 9, 255, 0xffffffff, random.int(0, bytes.length)]), at + 8)
  }
  u32(random.pick([0, 8, 0xfffffff0]), 10 + written * 12)
  return random.chance(0.1) ? random.bytes(random.int(0, 400)) : bytes
}

/** The image with this EXIF as its format carries it: JPEG's APP1, PNG's eXIf, WebP's EXIF chunk (not announced by VP8X). */
export function withExif(image: Buffer, exif: Buffer): Buffer {
  if (image.readUInt16BE(0) === 0xffd8) {
    const content = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), exif]).subarray(0, 65_000)
    const head = Buffer.from([0xff, 0xe1, (content.length + 2) >> 8, (content.length + 2) & 0xff])
    return Buffer.concat([image.subarray(0, 2), head, content, image.subarray(2)])
  }
  if (image.toString('latin1', 0, 4) !== 'RIFF') {
    return Buffer.concat([image.subarray(0, 33), pngChunk('eXIf', exif), image.subarray(33)])
  }
  const head = Buffer.alloc(8)
  head.write('EXIF', 'latin1')
  head.writeUInt32LE(exif.length, 4)
  const all = Buffer.concat([image, head, exif, Buffer.alloc(exif.length & 1)])
  all.writeUInt32LE(all.length - 8, 4)
  return all
}
