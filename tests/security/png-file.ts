import { crc32, deflateSync } from 'node:zlib'

/** A PNG's eight first bytes (PNG specification, 5.2). */
export const pngSignature = Buffer.from('\u0089PNG\r\n\u001a\n', 'latin1')

/** One chunk: length, type, content and checksum (5.3). `length` may lie. */
export function pngChunk(type: string, content: Uint8Array, length = content.length): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), content])
  return Buffer.concat([uint32(length), named, uint32(crc32(named))])
}

export interface PngHeader {
  width: number
  height: number
  bitDepth?: number
  /** 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA. */
  colourType?: number
  interlaced?: boolean
}

/** A PNG with this header and whatever else; it need not be a valid one. */
export function pngOf(header: PngHeader, chunks: readonly Buffer[]): Buffer {
  const { width, height, bitDepth = 8, colourType = 0, interlaced = false } = header
  const fields = Buffer.from([bitDepth, colourType, 0, 0, interlaced ? 1 : 0])
  const end = pngChunk('IEND', Buffer.alloc(0))
  return Buffer.concat([
    pngSignature,
    pngChunk('IHDR', Buffer.concat([uint32(width), uint32(height), fields])),
    ...chunks,
    end,
  ])
}

/** Image data of zeros only: a thousandth of its size. */
export function zeroImageData(bytes: number): Buffer {
  return pngChunk('IDAT', deflateSync(Buffer.alloc(bytes), { level: 9 }))
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}
