import type { BaseImage } from './base-images.ts'
import type { Random } from './random.ts'

/** An image that something was done to, and what, so that a finding can be read. */
export interface HostileImage {
  name: string
  bytes: Buffer
}

type Mutation = (image: Buffer, random: Random, others: readonly BaseImage[]) => Buffer

const mutations: Record<string, Mutation> = {
  'bits flipped'(image, random) {
    const broken = Buffer.from(image)
    for (let left = random.int(1, 24); left > 0; left -= 1) {
      const at = random.int(0, broken.length - 1)
      broken[at] = (broken[at] ?? 0) ^ (1 << random.int(0, 7))
    }
    return broken
  },
  'bits flipped in the header'(image, random) {
    const broken = Buffer.from(image)
    for (let left = random.int(1, 6); left > 0; left -= 1) {
      const at = random.int(0, Math.min(63, broken.length - 1))
      broken[at] = (broken[at] ?? 0) ^ (1 << random.int(0, 7))
    }
    return broken
  },
  'a run of bytes overwritten'(image, random) {
    const broken = Buffer.from(image)
    const at = random.int(0, broken.length - 1)
    const length = random.int(1, Math.min(256, broken.length - at))
    return random.chance(0.5)
      ? broken.fill(random.pick([0, 0xff, 0x7f, 0x80]), at, at + length)
      : Buffer.concat([broken.subarray(0, at), random.bytes(length), broken.subarray(at + length)])
  },
  cut: (image, random) => image.subarray(0, random.int(1, image.length - 1)),
  'cut in its last bytes': (image, random) => image.subarray(0, image.length - random.int(1, 12)),
  'bytes inserted'(image, random) {
    const at = random.int(0, image.length)
    return Buffer.concat([image.subarray(0, at), random.bytes(random.int(1, 200)), image.subarray(at)])
  },
  'bytes taken out'(image, random) {
    const at = random.int(0, image.length - 2)
    return Buffer.concat([image.subarray(0, at), image.subarray(at + random.int(1, 64))])
  },
  'a part repeated'(image, random) {
    const from = random.int(0, image.length - 1)
    const part = image.subarray(from, from + random.int(1, 512))
    const times = random.int(1, 40)
    return Buffer.concat([image.subarray(0, from), ...Array.from({ length: times }, () => part), image.subarray(from)])
  },
  'a length that lies'(image, random) {
    const broken = Buffer.from(image)
    const [at, bytes] = random.pick(lengthFields(broken))
    const lie = random.pick([0, 1, 2, 0x7f, 0xff, 0xffff, 0x7fffffff, 0xffffffff, random.int(0, 0xffff)])
    if (bytes === 2) broken.writeUInt16BE(lie & 0xffff, at)
    else if (isWebp(broken)) broken.writeUInt32LE(lie >>> 0, at)
    else broken.writeUInt32BE(lie >>> 0, at)
    return broken
  },
  'other dimensions'(image, random) {
    const broken = Buffer.from(image)
    const edge = (): number =>
      random.pick([0, 1, 2, 65, 255, 4096, 7000, 16_383, 65_535, 0x7fffffff, random.int(0, 3000)])
    writeDimensions(broken, edge(), edge())
    return broken
  },
  "another format's header"(image, random, others) {
    const other = random.pick(others).bytes
    const length = random.int(2, 64)
    return Buffer.concat([other.subarray(0, length), image.subarray(length)])
  },
  'the end of another'(image, random, others) {
    const other = random.pick(others).bytes
    return Buffer.concat([
      image.subarray(0, random.int(1, image.length)),
      other.subarray(random.int(0, other.length - 1)),
    ])
  },
}

/** One to three things done to one of the images. */
export function mutateImage(bases: readonly BaseImage[], random: Random): HostileImage {
  const base = random.pick(bases)
  const kinds = Array.from({ length: random.pick([1, 1, 1, 2, 3]) }, () => random.pick(Object.entries(mutations)))
  let bytes = base.bytes
  for (const [, mutate] of kinds) if (bytes.length > 16) bytes = mutate(bytes, random, bases)
  return { name: `${base.name}: ${kinds.map(([name]) => name).join(', ')}`, bytes }
}

/** Where the lengths of segments or chunks stand, and how many bytes they have. */
function lengthFields(image: Buffer): [at: number, bytes: 2 | 4][] {
  const fields: [number, 2 | 4][] = []
  if (image.length < 24) return [[0, 2]]
  if (image.readUInt16BE(0) === 0xffd8) {
    for (let at = 2; at + 4 <= image.length && image[at] === 0xff; at += 2 + image.readUInt16BE(at + 2)) {
      fields.push([at + 2, 2])
    }
  } else if (isWebp(image)) {
    fields.push([4, 4])
    for (let at = 12; at + 8 <= image.length; at += 8 + image.readUInt32LE(at + 4) + (image.readUInt32LE(at + 4) & 1)) {
      fields.push([at + 4, 4])
    }
  } else {
    for (let at = 8; at + 12 <= image.length; at += 12 + image.readUInt32BE(at)) fields.push([at, 4])
  }
  return fields.length === 0 ? [[0, 2]] : fields
}

function isWebp(image: Buffer): boolean {
  return image.toString('latin1', 0, 4) === 'RIFF'
}

/** Into the first header that can be found; a PNG's checksum is left wrong, which decoders may look past. */
function writeDimensions(image: Buffer, width: number, height: number): void {
  if (image.length < 33) return
  if (isWebp(image)) {
    const kind = image.toString('latin1', 12, 16)
    if (kind === 'VP8X') {
      image.writeUIntLE(Math.max(0, width - 1) & 0xffffff, 24, 3)
      image.writeUIntLE(Math.max(0, height - 1) & 0xffffff, 27, 3)
    } else if (kind === 'VP8 ') {
      image.writeUInt16LE(width & 0x3fff, 26)
      image.writeUInt16LE(height & 0x3fff, 28)
    } else image.writeUInt32LE(((width & 0x3fff) | ((height & 0x3fff) << 14)) >>> 0, 21)
  } else if (image.readUInt16BE(0) === 0xffd8) {
    const frame = image.findIndex(
      (byte, at) => byte === 0xff && [0xc0, 0xc2].includes(image[at + 1] ?? 0) && at + 9 < image.length,
    )
    if (frame === -1) return
    image.writeUInt16BE(height & 0xffff, frame + 5)
    image.writeUInt16BE(width & 0xffff, frame + 7)
  } else {
    image.writeUInt32BE(width >>> 0, 16)
    image.writeUInt32BE(height >>> 0, 20)
  }
}
