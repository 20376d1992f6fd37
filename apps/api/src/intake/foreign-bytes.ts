/** A type that isn't taken. */
interface ForeignType {
  /** What these bytes are, for people. */
  name: string
  /** How to get one of the types that are taken, if there is more to say than to convert it. */
  advice?: string
  matches: (bytes: Buffer) => boolean
}

const onIphones =
  'On iOS, choose Settings > Camera > Formats > Most Compatible, or pick the photo in an <input type="file" accept="image/jpeg">.'
const asPage = 'Render it to an image first.'
const asPart = 'Send the bytes of the image itself.'

/**
 * What people send instead, and what their own specifications say that it begins with; the first that matches counts.
 * A table of our own: libraries that know hundreds of types know neither texts nor what to do about them.
 */
const foreignTypes: readonly ForeignType[] = [
  {
    name: 'HEIC, as iPhones write it',
    advice: onIphones,
    matches: hasBrand('heic', 'heix', 'heim', 'heis', 'hevc', 'hevx'),
  },
  { name: 'AVIF', matches: hasBrand('avif', 'avis') },
  { name: 'HEIF', advice: onIphones, matches: hasBrand('mif1', 'msf1') },
  {
    name: 'a video (MP4 or QuickTime)',
    advice: 'Send one of its frames.',
    matches: (bytes) => at(bytes, 4) === 'ftyp' || at(bytes, 4) === 'moov',
  },
  { name: 'a video (WebM or Matroska)', advice: 'Send one of its frames.', matches: startsWith('\u001aE\u00df\u00a3') },
  {
    name: 'a video (AVI)',
    advice: 'Send one of its frames.',
    matches: (bytes) => at(bytes, 0) === 'RIFF' && at(bytes, 8) === 'AVI ',
  },
  { name: 'JPEG XL', matches: startsWith('\u00ff\n', '\0\0\0\fJXL ') },
  { name: 'JPEG 2000', matches: startsWith('\0\0\0\fjP  ', '\u00ffO\u00ffQ') },
  { name: 'GIF', advice: 'Send one of its frames.', matches: startsWith('GIF8') },
  { name: 'a raw photo of a camera (TIFF)', matches: (bytes) => at(bytes, 8) === 'CR\u0002\0' },
  { name: 'TIFF', matches: startsWith('II*\0', 'MM\0*', 'II+\0', 'MM\0+') },
  { name: 'BMP', matches: (bytes) => bytes.length > 14 && startsWith('BM')(bytes) && bytes.readUInt32LE(6) === 0 },
  { name: 'an icon (ICO)', matches: startsWith('\0\0\u0001\0', '\0\0\u0002\0') },
  { name: 'a Photoshop document', matches: startsWith('8BPS') },
  { name: 'PDF', advice: asPage, matches: startsWith('%PDF') },
  { name: 'a ZIP archive, as office documents are', advice: asPart, matches: startsWith('PK\u0003\u0004') },
  { name: 'packed by gzip', advice: asPart, matches: startsWith('\u001f\u008b') },
  {
    name: 'SVG',
    advice: asPage,
    matches: (bytes) => /^<svg[\s>]|^<(\?xml|!doctype svg|!--)[^]*<svg[\s>]/i.test(textOf(bytes)),
  },
  {
    name: 'a page of HTML, as an address answers with where the image is not',
    advice: asPart,
    matches: (bytes) => /^<(!doctype html|html|head|body)/i.test(textOf(bytes)),
  },
  { name: 'XML', advice: asPart, matches: (bytes) => /^<[?a-z]/i.test(textOf(bytes)) },
  {
    name: 'a data: URI as text',
    advice: 'Send the bytes that it holds, or send it as JSON.',
    matches: (bytes) => /^data:/i.test(textOf(bytes)),
  },
  { name: 'an address as text', advice: asPart, matches: (bytes) => /^https?:\/\//i.test(textOf(bytes)) },
  {
    name: 'an image in base64',
    advice: 'Send the bytes that it stands for, or send it as JSON.',
    matches: (bytes) => /^(\/9j\/|iVBORw0KGgo|UklGR)/.test(textOf(bytes)),
  },
  { name: 'JSON', advice: asPart, matches: (bytes) => /^[{[]/.test(textOf(bytes)) },
  { name: 'text', advice: asPart, matches: isText },
]

const mostTextBytes = 512

/** A sentence or two on bytes that are no JPEG, PNG or WebP: what they are, if that can be told, and what to send. */
export function describeForeignBytes(image: Uint8Array): string {
  if (image.length === 0) return 'The image is empty; a JPEG, PNG or WebP is expected.'
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.length)
  const type = foreignTypes.find(({ matches }) => matches(bytes))
  if (type === undefined) return 'The image has to be a JPEG, PNG or WebP; its bytes are none.'
  const advice = type.advice === undefined ? '' : ` ${type.advice}`
  return `The image has to be a JPEG, PNG or WebP; its bytes are ${type.name}.${advice}`
}

function startsWith(...starts: readonly string[]): (bytes: Buffer) => boolean {
  return (bytes) => starts.some((start) => bytes.toString('latin1', 0, start.length) === start)
}

const at = (bytes: Buffer, from: number): string => bytes.toString('latin1', from, from + 4)

/** ISO/IEC 14496-12, 4.3: the major brand, then a version, then the others. */
function hasBrand(...brands: readonly string[]): (bytes: Buffer) => boolean {
  return (bytes) => {
    if (at(bytes, 4) !== 'ftyp') return false
    const end = Math.min(bytes.readUInt32BE(0), bytes.length, 256)
    for (let from = 8; from + 4 <= end; from += 4) if (from !== 12 && brands.includes(at(bytes, from))) return true
    return false
  }
}

/** Without the byte order mark and the white space before it; as UTF-16 where that mark says so. */
function textOf(bytes: Buffer): string {
  const start = bytes.subarray(0, mostTextBytes)
  const isUtf16 = start.length > 2 && start.readUInt16BE(0) === 0xfffe
  return start.toString(isUtf16 ? 'utf16le' : 'utf8').trimStart()
}

/** Whether it begins with UTF-8 (where it is cut, a character may be too) and holds no control characters. */
function isText(bytes: Buffer): boolean {
  const text = textOf(bytes)
  return text.length > 1 && !/[^\P{Cc}\t\n\f\r]|\ufffd/u.test(text.slice(0, -1))
}
