/** A frame header, by ISO/IEC 10918-1, B.2.2. */
export interface Frame {
  isSequential: boolean
  width: number
  height: number
  /** How many samples each has, across and down. */
  components: { id: number; across: number; down: number }[]
}

/** Codes of one table: how many there are of each length from 1 to 16, and their symbols in order. */
interface HuffmanTable {
  counts: Buffer
  symbols: Buffer
}

/** By the byte that names a table in its own segment: its class and number. */
export type HuffmanTables = Map<number, HuffmanTable>

/** Sequential are the first two, which have Huffman codes. */
export function readFrame(marker: number, content: Buffer): Frame {
  const components: Frame['components'] = []
  for (let at = 6; at + 3 <= content.length; at += 3) {
    const factors = content.readUInt8(at + 1)
    components.push({ id: content.readUInt8(at), across: factors >> 4, down: factors & 0x0f })
  }
  const [height, width] = content.length < 6 ? [0, 0] : [content.readUInt16BE(1), content.readUInt16BE(3)]
  return { isSequential: marker === 0xc0 || marker === 0xc1, width, height, components }
}

/** B.2.4.2: a segment may hold several tables; a later one takes an earlier one's place. */
export function readTables(content: Buffer, tables: HuffmanTables): void {
  for (let at = 0; at + 17 <= content.length;) {
    const counts = content.subarray(at + 1, at + 17)
    const end = at + 17 + counts.reduce((sum, count) => sum + count, 0)
    tables.set(content.readUInt8(at), { counts, symbols: content.subarray(at + 17, end) })
    at = end
  }
}

/** A longer scan isn't walked through: it happens on the thread that runs the model, and takes 0.1 s a megabyte. */
const mostScanBytes = 4 * 1024 * 1024

/** Where compressed data is damaged, more of it is left over. */
const mostStrayBytes = 64

/**
 * The compressed data of a scan, without the bytes that stand between the last pixels of a restart interval and its
 * marker. The codes are walked through for that, the pixels aren't computed. Other scans than sequential ones with
 * restart markers are given back as they are. Null where the data is more than 4 MB, ends too early, has codes that aren't there, or
 * more bytes are left over than cameras write.
 */
export function withoutStrayBytes(
  data: Buffer,
  scan: { header: Buffer; frame: Frame | null; tables: HuffmanTables; interval: number },
): Buffer | null {
  const { frame, interval } = scan
  if (frame === null || !frame.isSequential || interval === 0) return data
  if (data.length > mostScanBytes) return null
  const unit = unitOf(scan.header, frame, scan.tables)
  if (unit === null) return null
  const pieces: Buffer[] = []
  let left = unit.count
  for (const { codes, marker } of intervalsOf(data)) {
    const length = left === 0 ? 0 : lengthOf(codes, Math.min(left, interval), unit.blocks)
    if (length === null || codes.length - length > mostStrayBytes) return null
    pieces.push(codes.subarray(0, length), marker)
    left = Math.max(0, left - interval)
  }
  return left > 0 ? null : Buffer.concat(pieces)
}

function* intervalsOf(data: Buffer): Generator<{ codes: Buffer; marker: Buffer }> {
  let from = 0
  for (let at = 0; ;) {
    const start = data.indexOf(0xff, at)
    if (start === -1) break
    at = start
    while (data[at] === 0xff) at += 1
    if ((data[at] ?? 0) !== 0) {
      yield { codes: data.subarray(from, start), marker: data.subarray(at - 1, at + 1) }
      from = at + 1
    }
    at += 1
  }
  yield { codes: data.subarray(from), marker: Buffer.alloc(0) }
}

/** The tables of one block. */
interface Block {
  dc: HuffmanTable
  ac: HuffmanTable
}

/** A.2: of what blocks a unit of this scan consists, and how many units it has. Null where a table is missing. */
function unitOf(header: Buffer, frame: Frame, tables: HuffmanTables): { blocks: Block[]; count: number } | null {
  const blocks: Block[] = []
  const most = {
    across: Math.max(...frame.components.map(({ across }) => across)),
    down: Math.max(...frame.components.map(({ down }) => down)),
  }
  let count = Math.ceil(frame.width / (8 * most.across)) * Math.ceil(frame.height / (8 * most.down))
  const isAlone = header[0] === 1
  for (let at = 1; at + 5 <= header.length; at += 2) {
    const component = frame.components.find(({ id }) => id === header[at])
    const numbers = header.readUInt8(at + 1)
    const [dc, ac] = [tables.get(numbers >> 4), tables.get(0x10 | (numbers & 0x0f))]
    if (component === undefined || dc === undefined || ac === undefined) return null
    const { across, down } = component
    // A component that has a scan of its own comes block by block.
    for (let block = 0; block < (isAlone ? 1 : across * down); block += 1) blocks.push({ dc, ac })
    if (isAlone) {
      const [columns, rows] = [
        Math.ceil((frame.width * across) / most.across),
        Math.ceil((frame.height * down) / most.down),
      ]
      count = Math.ceil(columns / 8) * Math.ceil(rows / 8)
    }
  }
  return blocks.length === 0 || !Number.isFinite(count) ? null : { blocks, count }
}

/** How many bytes so many units take; null where they end too early or make no sense. */
function lengthOf(codes: Buffer, units: number, blocks: readonly Block[]): number | null {
  const reader = { bytes: unstuffed(codes), bit: 0 }
  for (let unit = 0; unit < units; unit += 1) {
    for (const block of blocks) if (!skipBlock(reader, block)) return null
  }
  const used = Math.ceil(reader.bit / 8)
  let length = 0
  for (let count = 0; count < used; count += 1) length += codes[length] === 0xff ? 2 : 1
  return length
}

interface BitReader {
  bytes: Uint8Array
  bit: number
}

/** F.1.2.3: the byte 0xff is followed by a zero, lest it be taken for a marker. */
function unstuffed(codes: Buffer): Uint8Array {
  const bytes = new Uint8Array(codes.length)
  let count = 0
  for (let at = 0; at < codes.length; at += codes[at] === 0xff ? 2 : 1) bytes[count++] = codes[at] ?? 0
  return bytes.subarray(0, count)
}

/** F.2.2: the difference of the mean, then runs of zeros with a value behind each, up to 63 in all. */
function skipBlock(reader: BitReader, { dc, ac }: Block): boolean {
  const category = nextSymbol(reader, dc)
  if (category === null || category > 16) return false
  reader.bit += category
  for (let place = 1; place < 64;) {
    const symbol = nextSymbol(reader, ac)
    if (symbol === null) return false
    const [run, length] = [symbol >> 4, symbol & 0x0f]
    if (length === 0 && run < 15) break
    place += run + 1
    reader.bit += length
    if (place > 64) return false
  }
  return reader.bit <= reader.bytes.length * 8
}

/** F.2.2.3: codes of one length follow each other, and the first of the next length follows the last of these. */
function nextSymbol(reader: BitReader, { counts, symbols }: HuffmanTable): number | null {
  let code = 0
  let first = 0
  let index = 0
  for (let length = 0; length < 16; length += 1) {
    const byte = reader.bytes[reader.bit >> 3]
    if (byte === undefined) return null
    code |= (byte >> (7 - (reader.bit & 7))) & 1
    reader.bit += 1
    const count = counts[length] ?? 0
    if (code - first < count) return symbols[index + code - first] ?? null
    index += count
    first = (first + count) << 1
    code <<= 1
  }
  return null
}
