import { crc32, deflateSync } from 'node:zlib'

/** One segment of a JPEG with its marker, such as 0xe2 for APP2. */
export function jpegSegment(marker: number, content: Uint8Array): Buffer {
  const head = Buffer.from([0xff, marker, 0, 0])
  head.writeUInt16BE(content.length + 2, 2)
  return Buffer.concat([head, content])
}

/** A JPEG with segments right behind its start. */
export const withSegments = (jpeg: Buffer, ...segments: Buffer[]): Buffer =>
  Buffer.concat([jpeg.subarray(0, 2), ...segments, jpeg.subarray(2)])

/** A profile cut to pieces, as JPEG's APP2 segments, in order. */
export function profileSegments(profile: Buffer, pieceBytes = 60_000): Buffer[] {
  const count = Math.ceil(profile.length / pieceBytes)
  return Array.from({ length: count }, (_, index) => {
    const piece = profile.subarray(index * pieceBytes, (index + 1) * pieceBytes)
    return jpegSegment(
      0xe2,
      Buffer.concat([Buffer.from('ICC_PROFILE\0', 'latin1'), Buffer.from([index + 1, count]), piece]),
    )
  })
}

export function pngChunk(type: string, content: Uint8Array): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), content])
  const chunk = Buffer.alloc(named.length + 8)
  chunk.writeUInt32BE(content.length, 0)
  named.copy(chunk, 4)
  chunk.writeUInt32BE(crc32(named), named.length + 4)
  return chunk
}

/** A PNG with chunks right behind its header. */
export const withChunks = (png: Buffer, ...chunks: Buffer[]): Buffer =>
  Buffer.concat([png.subarray(0, 33), ...chunks, png.subarray(33)])

export const iccpChunk = (profile: Uint8Array): Buffer =>
  pngChunk('iCCP', Buffer.concat([Buffer.from('made\0\0', 'latin1'), deflateSync(profile)]))

export function riffChunk(type: string, content: Uint8Array): Buffer {
  const head = Buffer.from(`${type}\0\0\0\0`, 'latin1')
  head.writeUInt32LE(content.length, 4)
  return Buffer.concat([head, content, Buffer.alloc(content.length % 2)])
}

/** A WebP in the extended format, with chunks before and behind its pixels. `flags` announce them (RFC 9649, 2.7.1). */
export function extendedWebp(
  webp: Buffer,
  {
    width,
    height,
    flags,
    before = [],
    after = [],
  }: { width: number; height: number; flags: number; before?: Buffer[]; after?: Buffer[] },
): Buffer {
  const header = Buffer.alloc(10)
  header.writeUIntLE(width - 1, 4, 3)
  header.writeUIntLE(height - 1, 7, 3)
  // The pixels of one that is extended already stand behind its own header.
  const isExtended = webp.toString('latin1', 12, 16) === 'VP8X'
  // A lossless one says in bit 4 of its fifth byte whether it has transparency; the header has to repeat it.
  const isClear = webp.toString('latin1', 12, 16) === 'VP8L' && ((webp[24] ?? 0) & 0x10) !== 0
  header[0] = flags | (isExtended ? (webp[20] ?? 0) : 0) | (isClear ? 0x10 : 0)
  const pixels = webp.subarray(isExtended ? 30 : 12)
  return riffChunk('RIFF', Buffer.concat([Buffer.from('WEBP'), riffChunk('VP8X', header), ...before, pixels, ...after]))
}

export interface ExifOptions {
  orientation: number
  littleEndian?: boolean
  /** 3, a SHORT, is right. */
  type?: number
  count?: number
  magic?: number
}

/** EXIF with an orientation and nothing else: a TIFF header and one directory. */
export function makeExif({ orientation, littleEndian = true, type = 3, count = 1, magic = 42 }: ExifOptions): Buffer {
  const exif = Buffer.alloc(26)
  exif.write(littleEndian ? 'II' : 'MM', 'latin1')
  const u16 = (value: number, at: number): number =>
    littleEndian ? exif.writeUInt16LE(value, at) : exif.writeUInt16BE(value, at)
  const u32 = (value: number, at: number): number =>
    littleEndian ? exif.writeUInt32LE(value, at) : exif.writeUInt32BE(value, at)
  u16(magic, 2)
  u32(8, 4)
  u16(1, 8)
  u16(0x0112, 10)
  u16(type, 12)
  u32(count, 14)
  if (type === 1 || type === 6) exif[18] = orientation
  else if (type === 4 || type === 9) u32(orientation, 18)
  else u16(orientation, 18)
  return exif
}

export const exifSegment = (exif: Uint8Array): Buffer =>
  jpegSegment(0xe1, Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), exif]))

/** The image with EXIF, a profile or both where its format keeps them. */
export function withMetadata(
  image: Buffer,
  {
    exif,
    profile,
    width,
    height,
  }: { exif?: Buffer | undefined; profile?: Buffer | undefined; width: number; height: number },
): Buffer {
  if (image.readUInt16BE(0) === 0xffd8) {
    const exifs = exif === undefined ? [] : [exifSegment(exif)]
    return withSegments(image, ...exifs, ...(profile === undefined ? [] : profileSegments(profile)))
  }
  if (image.toString('latin1', 0, 4) !== 'RIFF') {
    const chunks = profile === undefined ? [] : [iccpChunk(profile)]
    return withChunks(image, ...chunks, ...(exif === undefined ? [] : [pngChunk('eXIf', exif)]))
  }
  const flags = (exif === undefined ? 0 : 0x08) | (profile === undefined ? 0 : 0x20)
  const before = profile === undefined ? [] : [riffChunk('ICCP', profile)]
  return extendedWebp(image, {
    width,
    height,
    flags,
    before,
    after: exif === undefined ? [] : [riffChunk('EXIF', exif)],
  })
}
