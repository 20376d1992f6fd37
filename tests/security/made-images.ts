import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { deflateSync } from 'node:zlib'

import sharp, { type Sharp } from 'sharp'

import type { HostileImage } from './image-mutations.ts'
import { pngChunk, pngOf, zeroImageData } from './png-file.ts'

const assets = process.env['VISION_QUEUE_ASSETS'] ?? fileURLToPath(new URL('../../../shared/assets', import.meta.url))

/** The broken and unusual files beside the project; none, with a word about it, where they are absent. */
export function readBadImages(): HostileImage[] {
  const folder = join(assets, 'bad-images')
  if (!existsSync(folder)) {
    console.log(`Left out: there are no test pictures at ${folder}`)
    return []
  }
  return readdirSync(folder).map((name) => ({ name, bytes: readFileSync(join(folder, name)) }))
}

/** Images made by hand: bombs, polyglots, other formats under these names, and next to nothing. */
export async function makeHostileImages(): Promise<HostileImage[]> {
  const jpeg = await blank(64, 64).jpeg().toBuffer()
  const png = await blank(64, 64).png().toBuffer()
  const webp = await blank(64, 64).webp().toBuffer()
  const formats = [
    ['jpeg', jpeg],
    ['png', png],
    ['webp', webp],
  ] as const
  return [
    ...bombs(),
    ...(await elongated()),
    ...(await otherFormats()),
    ...formats.flatMap(([format, image]) => polyglots(format, image)),
    ...formats.flatMap(([format, image]) => fragments(format, image)),
  ]
}

/** Small files that become large ones; the largest are inside the limit on pixels, so that they are decoded. */
function bombs(): HostileImage[] {
  const ten = deflateSync(Buffer.alloc(10_000_000), { level: 9 })
  const name = Buffer.from('name\0\0', 'latin1')
  const text = pngChunk('zTXt', Buffer.concat([name, ten]))
  const row = (width: number, bytes: number): number => 1 + width * bytes
  const one = zeroImageData(row(8, 1) * 8)
  const files: [string, Buffer][] = [
    ['a PNG of 49 million grey pixels', pngOf({ width: 7000, height: 7000 }, [zeroImageData(row(7000, 1) * 7000)])],
    [
      'a PNG of 16 million RGBA pixels of 16 bits',
      pngOf({ width: 4000, height: 4000, bitDepth: 16, colourType: 6 }, [zeroImageData(row(4000, 8) * 4000)]),
    ],
    [
      'an interlaced PNG of 16 million pixels',
      pngOf({ width: 4000, height: 4000, colourType: 2, interlaced: true }, [zeroImageData(row(4000, 3) * 4000)]),
    ],
    ['a PNG of 65,535 x 65,535 pixels', pngOf({ width: 65_535, height: 65_535 }, [zeroImageData(100_000)])],
    [
      'a PNG of 2^31-1 x 2^31-1 pixels',
      pngOf({ width: 0x7fffffff, height: 0x7fffffff, bitDepth: 16, colourType: 6 }, [one]),
    ],
    ['a PNG with far more image data than pixels', pngOf({ width: 8, height: 8 }, [pngChunk('IDAT', ten)])],
    ['a PNG with 300 MB of compressed text', pngOf({ width: 8, height: 8 }, [...times(30, text), one])],
    [
      'a PNG with a compressed profile of 10 MB',
      pngOf({ width: 8, height: 8 }, [pngChunk('iCCP', Buffer.concat([name, ten])), one]),
    ],
    [
      'a PNG with 100,000 empty chunks',
      pngOf({ width: 8, height: 8 }, [...times(100_000, pngChunk('IDAT', Buffer.alloc(0))), one]),
    ],
    ['a PNG with a chunk of 2 GB', pngOf({ width: 8, height: 8 }, [pngChunk('tEXt', name, 0x7fffffff), one])],
    ['a JPEG of 100,000 comments', Buffer.concat([soi, ...times(100_000, Buffer.from('fffe0002', 'hex'))])],
    ['a JPEG of fill bytes', Buffer.concat([soi, Buffer.alloc(2_000_000, 0xff)])],
    ['a JPEG of segments without length', Buffer.concat([soi, ...times(100_000, Buffer.from('ffe00000', 'hex'))])],
  ]
  return files.map(([title, bytes]) => made(title, bytes))
}

/** Next to no pixels, but one edge that is huge. */
async function elongated(): Promise<HostileImage[]> {
  return [
    { name: 'a WebP of 1 x 16,383 pixels', bytes: await blank(1, 16_383).webp().toBuffer() },
    { name: 'a JPEG of 65,500 x 1 pixels', bytes: await blank(65_500, 1).jpeg().toBuffer() },
    { name: 'a PNG of 1 x 1,000,000 pixels', bytes: pngOf({ width: 1, height: 1e6 }, [zeroImageData(2e6)]) },
  ]
}

async function otherFormats(): Promise<HostileImage[]> {
  const svg =
    '<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' +
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>&x;</text><image href="http://127.0.0.1:1/"/></svg>'
  const others = await Promise.all(
    (['gif', 'avif', 'tiff'] as const).map(async (format) => ({
      name: `a ${format}`,
      bytes: await blank(16, 16).toFormat(format).toBuffer(),
    })),
  )
  return [
    ...others,
    { name: 'an SVG with an entity', bytes: Buffer.from(svg) },
    { name: 'a PDF', bytes: Buffer.from('%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n') },
    { name: 'a BMP', bytes: Buffer.concat([Buffer.from('BM'), Buffer.alloc(200)]) },
    { name: 'an ELF', bytes: Buffer.concat([Buffer.from('\u007fELF', 'latin1'), Buffer.alloc(200)]) },
    { name: 'a gzip', bytes: Buffer.from('1f8b0800000000000003030000000000000000', 'hex') },
    { name: 'an ImageMagick script', bytes: Buffer.from('push graphic-context\nfill "url(https://127.0.0.1/|id)"') },
  ]
}

/** One file that is two things: an image to us, something else to whoever opens it next. */
function polyglots(format: string, image: Buffer): HostileImage[] {
  const zip = Buffer.from('504b0506000000000000000000000000000000000000', 'hex')
  const html = Buffer.from('<script>alert(1)</script>')
  return [
    made(`a ${format} that is a zip`, Buffer.concat([image, zip])),
    made(`a ${format} that is a page`, Buffer.concat([image, html])),
    made(`a ${format} that is a PDF`, Buffer.concat([image, Buffer.from('\n%PDF-1.7\n%%EOF\n')])),
    made(`a page that is a ${format}`, Buffer.concat([html, image])),
    made(`a zip that is a ${format}`, Buffer.concat([Buffer.from('PK\u0003\u0004'), image])),
  ]
}

function fragments(format: string, image: Buffer): HostileImage[] {
  return [1, 2, 3, 4, 8, 11, 12, 16, 20, 25, 30, 33].map((length) =>
    made(`the first ${length} bytes of a ${format}`, image.subarray(0, length)),
  )
}

const soi = Buffer.from('ffd8', 'hex')

function blank(width: number, height: number): Sharp {
  return sharp({ create: { width, height, channels: 3, background: '#4080c0' } })
}

function times(count: number, bytes: Buffer): Buffer[] {
  return Array.from({ length: count }, () => bytes)
}

function made(name: string, bytes: Buffer): HostileImage {
  return { name, bytes }
}
