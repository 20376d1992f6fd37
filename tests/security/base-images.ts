import sharp, { type Sharp } from 'sharp'

/** A sound image to break. */
export interface BaseImage {
  name: string
  bytes: Buffer
}

const width = 96
const height = 72

/**
 * Small pictures of every kind the three formats have: baseline, progressive, grey and CMYK JPEGs; PNGs of 8 and
 * 16 bits, with a palette and interlaced; lossy, lossless and animated WebPs; with EXIF and colour profiles.
 */
export async function makeBaseImages(): Promise<BaseImage[]> {
  const picture = (): Sharp => sharp(noise(3), { raw: { width, height, channels: 3 } })
  const clear = (): Sharp => sharp(noise(4), { raw: { width, height, channels: 4 } })
  const frames = (): Sharp =>
    sharp(Buffer.concat([noise(3), noise(3)]), { raw: { width, height: height * 2, channels: 3, pageHeight: height } })
  const exif = { IFD0: { Copyright: 'c'.repeat(300), ImageDescription: 'd' } }
  const made: [string, Sharp][] = [
    ['jpeg baseline', picture().jpeg({ progressive: false })],
    ['jpeg progressive', picture().jpeg({ progressive: true, chromaSubsampling: '4:2:0' })],
    ['jpeg arithmetic-free optimised', picture().jpeg({ optimizeScans: true, trellisQuantisation: true })],
    ['jpeg cmyk', picture().toColourspace('cmyk').jpeg()],
    ['jpeg grey', picture().greyscale().jpeg()],
    ['jpeg with exif, turned', picture().withMetadata({ orientation: 6 }).withExifMerge(exif).jpeg()],
    ['jpeg with a P3 profile', picture().withIccProfile('p3').jpeg()],
    ['png rgb', picture().png()],
    ['png rgba', clear().png()],
    ['png 16-bit', picture().toColourspace('rgb16').png()],
    ['png palette', picture().png({ palette: true, colours: 16 })],
    ['png interlaced', picture().png({ progressive: true })],
    ['png grey', picture().greyscale().png()],
    ['png with exif and profile', picture().withExif(exif).withIccProfile('p3').png()],
    ['webp lossy', picture().webp({ quality: 60 })],
    ['webp lossless', picture().webp({ lossless: true })],
    ['webp with alpha', clear().webp()],
    ['webp animated', frames().webp({ loop: 0, delay: [50, 50] })],
    ['webp with exif and profile', picture().withExif(exif).withIccProfile('p3').webp()],
  ]
  const still = await Promise.all(made.map(async ([name, image]) => ({ name, bytes: await image.toBuffer() })))
  return [...still, { name: 'png animated', bytes: animate(still.find(({ name }) => name === 'png rgb')) }]
}

/** Pixels with an edge or two, which compress to something with a structure. */
function noise(channels: number): Buffer {
  const bytes = Buffer.alloc(width * height * channels)
  for (let index = 0; index < bytes.length; index += 1) bytes[index] = (index * 7 + (index >> 6) * 31) & 0xff
  return bytes
}

/** An APNG by its control chunks alone; decoders that know none show the first frame. */
function animate(png: BaseImage | undefined): Buffer {
  if (png === undefined) throw new Error('There is no PNG to animate')
  const control = Buffer.from('000000086163544c0000000200000000f38d9370', 'hex')
  const afterHeader = 33
  return Buffer.concat([png.bytes.subarray(0, afterHeader), control, png.bytes.subarray(afterHeader)])
}
