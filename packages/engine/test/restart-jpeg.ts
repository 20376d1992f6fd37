import { jpegSegment } from './containers.ts'

/** Parts of a grey JPEG with restart markers, to be put together right or wrong. */
export interface RestartJpeg {
  /** Up to the first compressed byte. */
  header: Buffer
  /** One for each row of blocks. */
  intervals: Buffer[]
}

export const endOfImage = Buffer.from([0xff, 0xd9])
export const restartMarker = (index: number): Buffer => Buffer.from([0xff, 0xd0 + (index % 8)])

/** With its restart markers; `before` gives bytes to put before the one that follows an interval. */
export function joinIntervals(
  { header, intervals }: RestartJpeg,
  before: (index: number) => Buffer = () => Buffer.alloc(0),
): Buffer {
  const pieces = intervals.flatMap((interval, index) => [
    interval,
    before(index),
    index === intervals.length - 1 ? endOfImage : restartMarker(index),
  ])
  return Buffer.concat([header, ...pieces])
}

/**
 * A baseline JPEG of blocks of one grey each, by ISO/IEC 10918-1: `greys` are rows of blocks, and a restart interval
 * is a row. With `chroma` there are two components more, each half as wide and without any colour. Sharp writes none
 * with restart markers.
 */
export function makeRestartJpeg(greys: readonly (readonly number[])[], { chroma = false } = {}): RestartJpeg {
  const columns = greys[0]?.length ?? 0
  const components = chroma ? [1, 0x21, 0, 2, 0x11, 0, 3, 0x11, 0] : [1, 0x11, 0]
  const frame = Buffer.from([8, 0, 0, 0, 0, components.length / 3, ...components])
  frame.writeUInt16BE(greys.length * 8, 1)
  frame.writeUInt16BE(columns * 8, 3)
  const interval = Buffer.alloc(2)
  interval.writeUInt16BE(chroma ? columns / 2 : columns)
  // Differences of 0 to 11 bits have codes of four bits each, in order; of the rest only "end of block" is used: 0.
  const categories = Array.from({ length: 12 }, (_, category) => category)
  const header = Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    jpegSegment(0xe0, Buffer.from('JFIF\0\u0001\u0001\0\0\u0001\0\u0001\0\0', 'latin1')),
    jpegSegment(0xdb, Buffer.from([0, ...Array<number>(64).fill(8)])),
    jpegSegment(0xc0, frame),
    jpegSegment(0xc4, Buffer.from([0x00, 0, 0, 0, 12, ...Array<number>(12).fill(0), ...categories])),
    jpegSegment(0xc4, Buffer.from([0x10, 1, ...Array<number>(15).fill(0), 0])),
    jpegSegment(0xdd, interval),
    jpegSegment(0xda, Buffer.from([...(chroma ? [3, 1, 0, 2, 0, 3, 0] : [1, 1, 0]), 0, 63, 0])),
  ])
  return { header, intervals: greys.map((row) => encodeRow(row, chroma)) }
}

function encodeRow(greys: readonly number[], chroma: boolean): Buffer {
  let bits = ''
  let last = 0
  for (const [column, grey] of greys.entries()) {
    const difference = grey - 128 - last
    last = grey - 128
    const length = difference === 0 ? 0 : Math.abs(difference).toString(2).length
    // F.1.2.1.1: a negative one is written as one less, without its sign.
    const value = difference < 0 ? difference + 2 ** length - 1 : difference
    bits += length.toString(2).padStart(4, '0') + (length === 0 ? '' : value.toString(2).padStart(length, '0')) + '0'
    // Two blocks that are the same as those before them.
    if (chroma && column % 2 === 1) bits += '0000000000'
  }
  const bytes = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1').match(/.{8}/g) ?? []
  return Buffer.from(bytes.map((byte) => parseInt(byte, 2)).flatMap((byte) => (byte === 0xff ? [0xff, 0] : [byte])))
}
