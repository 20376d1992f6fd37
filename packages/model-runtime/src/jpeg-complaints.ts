/**
 * What libjpeg complains of in JPEGs that every program shows: network cameras and webcams write a byte too many
 * before a restart marker, phones odd numbers into a scan's header. All else it warns of is damage.
 */
const harmless = [
  /Invalid SOS parameters for sequential JPEG/,
  /Inconsistent progression sequence/,
  /unknown JFIF revision number/,
  /Unknown Adobe color transform code/,
]
const strayBytes = /(\d+) extraneous bytes before marker/

/** Where compressed data is damaged, more of it is left over. */
const mostStrayBytes = 64

/** Whether libvips refused a JPEG for what is no damage. Other complaints may hide behind this one: it tells the first. */
export function isReadableAnyway(error: unknown): boolean {
  if (!(error instanceof Error) || !error.message.includes('Jpeg')) return false
  const stray = strayBytes.exec(error.message)?.[1]
  if (stray !== undefined) return Number(stray) <= mostStrayBytes
  return harmless.some((complaint) => complaint.test(error.message))
}

/** Compressed pixels of any table, with nothing in them that could be a marker. */
const filler = Buffer.from('5b93a6d12e6c39b4'.repeat(32), 'hex')
const mostFillers = 20_000

/**
 * A copy of a JPEG with bytes of compressed pixels added wherever such data ends: before each restart marker and
 * behind each scan. A decoder that has all its pixels by then passes over them. Null where restart markers are
 * missing or in a wrong order, where there are more than 20,000 such places, or where the end of the image is missing.
 */
export function withFillersBeforeMarkers(file: Uint8Array): Buffer | null {
  const jpeg = Buffer.from(file.buffer, file.byteOffset, file.length)
  const pieces: Buffer[] = []
  let copied = 0
  let frame: Frame | null = null
  let interval = 0
  let scan: { restarts: number; expected: number } | null = null
  for (const { marker, start, content } of markersOf(jpeg)) {
    if (scan !== null) {
      pieces.push(jpeg.subarray(copied, start), filler)
      copied = start
      if (pieces.length > 2 * mostFillers) return null
    }
    if (marker >= 0xd0 && marker <= 0xd7) {
      if (scan === null || marker !== 0xd0 + (scan.restarts % 8)) return null
      scan.restarts += 1
      continue
    }
    // Some programs write one more, behind the last pixels.
    if (scan !== null && scan.restarts < scan.expected) return null
    scan = null
    if (marker === 0xd9) return Buffer.concat([...pieces, jpeg.subarray(copied)])
    if (marker === 0xdd) interval = content.readUInt16BE(0)
    if (isFrameHeader(marker)) frame = readFrame(content)
    if (marker === 0xda && frame !== null) {
      const expected = interval === 0 ? 0 : Math.ceil(unitsOf(frame, content) / interval) - 1
      scan = { restarts: 0, expected }
    }
  }
  return null
}

interface Marker {
  marker: number
  /** Of its first byte, 0xff. */
  start: number
  /** Of its segment; empty for a marker without one. */
  content: Buffer
}

/** All markers with their segments, by ISO/IEC 10918-1, B.1.1, those within scans included. */
function* markersOf(jpeg: Buffer): Generator<Marker> {
  let at = 2
  while (at < jpeg.length) {
    const start = jpeg.indexOf(0xff, at)
    if (start === -1) return
    at = start
    while (jpeg[at] === 0xff) at += 1
    const marker = jpeg[at]
    at += 1
    if (marker === undefined) return
    // Within a scan a zero says that 0xff was a byte of the pixels.
    if (marker <= 0x01) continue
    const isAlone = marker >= 0xd0 && marker <= 0xd9
    const end = isAlone ? at : at + (at + 2 > jpeg.length ? 0 : jpeg.readUInt16BE(at))
    if (end > jpeg.length || (!isAlone && end < at + 3)) return
    yield { marker, start, content: jpeg.subarray(isAlone ? end : at + 2, end) }
    at = end
  }
}

const isFrameHeader = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc

interface Frame {
  width: number
  height: number
  /** How many samples each component has across and down, by its number. */
  sampling: Map<number, { across: number; down: number }>
}

/** B.2.2. */
function readFrame(content: Buffer): Frame {
  const sampling: Frame['sampling'] = new Map()
  for (let at = 6; at + 3 <= content.length; at += 3) {
    const factors = content.readUInt8(at + 1)
    sampling.set(content.readUInt8(at), { across: factors >> 4, down: factors & 0x0f })
  }
  return { height: content.readUInt16BE(1), width: content.readUInt16BE(3), sampling }
}

/** A.2: how many units a scan has. Restart intervals are counted in them. */
function unitsOf({ width, height, sampling }: Frame, scan: Buffer): number {
  const all = [...sampling.values()]
  const most = { across: Math.max(...all.map(({ across }) => across)), down: Math.max(...all.map(({ down }) => down)) }
  const only = scan[0] === 1 ? sampling.get(scan[1] ?? 0) : undefined
  // A scan of one component has blocks of 8 x 8 samples, one of more has as many of each as make the same area.
  const { across, down } = only ?? { across: 1, down: 1 }
  return only === undefined
    ? Math.ceil(width / (8 * most.across)) * Math.ceil(height / (8 * most.down))
    : Math.ceil(Math.ceil((width * across) / most.across) / 8) * Math.ceil(Math.ceil((height * down) / most.down) / 8)
}
