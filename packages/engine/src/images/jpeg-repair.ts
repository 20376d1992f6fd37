import { formatOf } from '@vision-queue/image-header'

import { type Frame, type HuffmanTables, readFrame, readTables, withoutStrayBytes } from './jpeg-scan.ts'

/**
 * A copy of a JPEG without what libjpeg complains of though every program shows it: bytes between two segments, a
 * revision of JFIF or a transform in Adobe's marker that nobody knows, odd numbers in the header of a sequential
 * scan (phones), bytes too many before a restart marker (webcams, network cameras). Damage stays what it is, so that
 * the copy is to be decoded as strictly as the file was. Null for other files and for those without an end.
 */
export function repairJpeg(file: Uint8Array): Buffer | null {
  if (formatOf(file) !== 'jpeg') return null
  const jpeg = Buffer.from(file.buffer, file.byteOffset, file.length)
  const pieces = [jpeg.subarray(0, 2)]
  const tables: HuffmanTables = new Map()
  let frame: Frame | null = null
  let interval = 0
  let at = 2
  for (;;) {
    const { marker, start } = nextMarker(jpeg, at)
    if (marker === null) return null
    if (marker === 0xd9) return Buffer.concat([...pieces, Buffer.from([0xff, marker])])
    if (isAlone(marker)) {
      at = start
      continue
    }
    if (start + 2 > jpeg.length) return null
    const end = start + jpeg.readUInt16BE(start)
    if (end < start + 2 || end > jpeg.length) return null
    const content = repairSegment(marker, Buffer.from(jpeg.subarray(start + 2, end)), frame)
    pieces.push(Buffer.from([0xff, marker]), jpeg.subarray(start, start + 2), content)
    at = end
    if (isFrameHeader(marker)) frame = readFrame(marker, content)
    if (marker === 0xc4) readTables(content, tables)
    if (marker === 0xdd && content.length >= 2) interval = content.readUInt16BE(0)
    if (marker === 0xda) {
      const scanEnd = endOfScan(jpeg, at)
      const scan = jpeg.subarray(at, scanEnd)
      const repaired = withoutStrayBytes(scan, { header: content, frame, tables, interval })
      if (repaired === null) return null
      pieces.push(repaired)
      at = scanEnd
    }
  }
}

/** ISO/IEC 10918-1, B.1.1.2: a marker may have any number of fill bytes before it. `start` is behind it. */
function nextMarker(jpeg: Buffer, from: number): { marker: number | null; start: number } {
  let at = jpeg.indexOf(0xff, from)
  if (at === -1) return { marker: null, start: jpeg.length }
  while (jpeg[at] === 0xff) at += 1
  return { marker: jpeg[at] ?? null, start: at + 1 }
}

/** None, TEM, the restart markers and SOI have no segment. */
const isAlone = (marker: number): boolean => marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)

const isFrameHeader = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc

/** Where the next marker stands that is neither a stuffed byte nor a restart marker. */
function endOfScan(jpeg: Buffer, from: number): number {
  let at = from
  for (;;) {
    const start = jpeg.indexOf(0xff, at)
    if (start === -1) return jpeg.length
    const { marker, start: behind } = nextMarker(jpeg, start)
    if (marker !== 0 && marker !== null && !(marker >= 0xd0 && marker <= 0xd7)) return start
    at = behind
  }
}

/** What libjpeg assumes where it complains. */
function repairSegment(marker: number, content: Buffer, frame: Frame | null): Buffer {
  if (marker === 0xe0 && content.length >= 7 && content.toString('latin1', 0, 5) === 'JFIF\0') {
    if (content[5] !== 1 && content[5] !== 2) content[5] = 1
  }
  if (marker === 0xee && content.length >= 12 && content.toString('latin1', 0, 5) === 'Adobe') {
    // Unless the colours are three or four, it is not looked at; a transform of 1 then means YCbCr, of 2 YCCK.
    if ((content[11] ?? 0) > 2) content[11] = frame !== null && frame.components.length === 4 ? 2 : 1
  }
  // B.2.3: a sequential scan has all 64 coefficients.
  if (marker === 0xda && frame?.isSequential === true && content.length >= 3)
    content.set([0, 63, 0], content.length - 3)
  return content
}
