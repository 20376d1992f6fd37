/** A whole PNG of one pixel. */
export const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCBd81ytgAAAABJRU5ErkJggg==',
  'base64',
)

/** The start of a PNG that says it has these dimensions. */
export function pngHeader(width: number, height: number): Buffer {
  const header = Buffer.from(png.subarray(0, 33))
  header.writeUInt32BE(width, 16)
  header.writeUInt32BE(height, 20)
  return header
}

/** The start of a JPEG: an APP1 segment of the given length, then the frame header. */
export function jpegHeader(width: number, height: number, app1Bytes = 16): Buffer {
  const app1 = Buffer.alloc(app1Bytes + 2)
  app1.writeUInt16BE(0xff_e1, 0)
  app1.writeUInt16BE(app1Bytes, 2)
  const frame = Buffer.from('ffc00011080000000003012200021101031101', 'hex')
  frame.writeUInt16BE(height, 5)
  frame.writeUInt16BE(width, 7)
  return Buffer.concat([Buffer.from('ffd8', 'hex'), app1, frame])
}

/** The start of an extended WebP. */
export function webpHeader(width: number, height: number): Buffer {
  const header = Buffer.alloc(30)
  header.write('RIFF', 0, 'latin1')
  header.writeUInt32LE(22, 4)
  header.write('WEBPVP8X', 8, 'latin1')
  header.writeUInt32LE(10, 16)
  header.writeUIntLE(width - 1, 24, 3)
  header.writeUIntLE(height - 1, 27, 3)
  return header
}
