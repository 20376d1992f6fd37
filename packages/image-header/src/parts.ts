export type ImageFormat = 'jpeg' | 'png' | 'webp'

/**
 * A piece of an image's container. `name` is a PNG's chunk type or a WebP's, such as `iCCP` or `ICCP`; of a JPEG
 * it is `APP0` to `APP15`, `SOF0` to `SOF15` for a frame header, or the marker as two hexadecimal digits.
 */
export interface ImagePart {
  name: string
  content: Buffer
}

/** More parts are not looked at: they would only cost time. Photos have some dozens. */
const mostParts = 10_000

/** The format that the first 12 bytes tell, by ISO/IEC 10918-1, the PNG specification and RFC 9649; null for others. */
export function formatOf(file: Uint8Array): ImageFormat | null {
  const start = Buffer.from(file.subarray(0, 12)).toString('latin1')
  if (start.startsWith('\u00ff\u00d8\u00ff')) return 'jpeg'
  if (start.startsWith('\u0089PNG\r\n\u001a\n')) return 'png'
  if (start.startsWith('RIFF') && start.endsWith('WEBP')) return 'webp'
  return null
}

/**
 * Walks the container, in the file's order: a JPEG up to its first scan, a PNG up to its pixels, a WebP to its
 * end, because its EXIF stands behind the pixels. Ends at the first part that is cut off or makes no sense. What a
 * part contains isn't searched, so that a thumbnail's own parts are not taken for the image's.
 */
export function* partsOf(file: Uint8Array): Generator<ImagePart> {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.length)
  const format = formatOf(file)
  if (format === 'jpeg') yield* segmentsOf(bytes)
  if (format === 'png') yield* chunksOf(bytes, { from: 8, to: bytes.length, kind: 'png' })
  if (format === 'webp') yield* chunksOf(bytes, { from: 12, to: bytes.readUInt32LE(4) + 8, kind: 'riff' })
}

const startOfScan = 0xda
const endOfImage = 0xd9

/** By ISO/IEC 10918-1, B.1.1. Bytes between two segments are passed over, as libjpeg does. */
function* segmentsOf(file: Buffer): Generator<ImagePart> {
  let at = 2
  for (let steps = 0; steps < mostParts; steps += 1) {
    at = file.indexOf(0xff, at)
    if (at === -1) return
    // A marker may have any number of fill bytes before it.
    while (file[at] === 0xff) at += 1
    const marker = file[at]
    at += 1
    if (marker === undefined || marker === startOfScan || marker === endOfImage) return
    // These have no content: none, TEM and RST0 to RST7.
    if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd7)) continue
    if (at + 2 > file.length) return
    const end = at + file.readUInt16BE(at)
    if (end < at + 2 || end > file.length) return
    yield { name: segmentName(marker), content: file.subarray(at + 2, end) }
    at = end
  }
}

function segmentName(marker: number): string {
  if (marker >= 0xe0 && marker <= 0xef) return `APP${marker - 0xe0}`
  // C4, C8 and CC are tables and an extension, all others from C0 to CF are frame headers.
  if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc)
    return `SOF${marker - 0xc0}`
  return marker.toString(16)
}

function* chunksOf(
  file: Buffer,
  { from, to, kind }: { from: number; to: number; kind: 'png' | 'riff' },
): Generator<ImagePart> {
  let at = from
  for (let steps = 0; steps < mostParts && at + 8 <= Math.min(to, file.length); steps += 1) {
    // A PNG's chunk is its length, type, content and checksum; a RIFF's its type, length and content, padded to be even.
    const [length, name] =
      kind === 'png'
        ? [file.readUInt32BE(at), file.toString('latin1', at + 4, at + 8)]
        : [file.readUInt32LE(at + 4), file.toString('latin1', at, at + 4)]
    const start = at + 8
    if (start + length > file.length || (kind === 'png' && name === 'IDAT')) return
    yield { name, content: file.subarray(start, start + length) }
    at = start + length + (kind === 'png' ? 4 : length % 2)
  }
}
