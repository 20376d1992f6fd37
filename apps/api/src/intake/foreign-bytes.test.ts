import { deflateRawSync, gzipSync } from 'node:zlib'

import { describe, expect, test } from 'vitest'

import { png } from '../test-support/images.ts'
import { describeForeignBytes } from './foreign-bytes.ts'

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** The first box of an ISO media file. */
function ftyp(major: string, ...others: string[]): Buffer {
  const length = Buffer.from([0, 0, 0, 16 + others.length * 4])
  return Buffer.concat([length, latin1(`ftyp${major}\0\0\0\0${others.join('')}`), Buffer.alloc(40)])
}

describe('bytes that are no image we take are named, with what to send instead', () => {
  test.each([
    ['HEIC of an iPhone', ftyp('heic', 'mif1', 'MiHE'), /HEIC, as iPhones write it\. On iOS/],
    ['HEIC under a general brand', ftyp('mif1', 'heic'), /HEIC/],
    ['a burst of an iPhone', ftyp('msf1', 'hevc'), /HEIC/],
    ['AVIF', ftyp('avif', 'mif1', 'miaf'), /AVIF\.$/],
    ['AVIF of a sequence', ftyp('avis', 'avif'), /AVIF/],
    ['HEIF of another codec', ftyp('mif1', 'j2ki'), /HEIF/],
    ['MP4', ftyp('isom', 'iso2', 'avc1'), /video \(MP4 or QuickTime\)\. Send one of its frames/],
    ['QuickTime', ftyp('qt  '), /video/],
    ['WebM', Buffer.from('1a45dfa39f4286810142f781', 'hex'), /video \(WebM/],
    ['AVI', latin1('RIFF\0\0\0\0AVI LIST'), /video \(AVI\)/],
    ['JPEG XL, bare', Buffer.from('ff0afa7f01900800', 'hex'), /JPEG XL/],
    ['JPEG XL in boxes', Buffer.from('0000000c4a584c200d0a870a', 'hex'), /JPEG XL/],
    ['JPEG 2000', Buffer.from('0000000c6a5020200d0a870a', 'hex'), /JPEG 2000/],
    ['GIF', latin1('GIF89a\u0001\0\u0001\0'), /GIF/],
    ['TIFF, little-endian', latin1('II*\0\b\0\0\0\0\0\0\0'), /TIFF/],
    ['TIFF, big-endian', latin1('MM\0*\0\0\0\b\0\0\0\0'), /TIFF/],
    ['a raw photo', latin1('II*\0\u0010\0\0\0CR\u0002\0'), /raw photo/],
    ['BMP', latin1('BM\u0046\0\0\0\0\0\0\0\u0036\0\0\0\u0028'), /BMP/],
    ['ICO', latin1('\0\0\u0001\0\u0001\0\u0010\u0010'), /ICO/],
    ['PSD', latin1('8BPS\0\u0001\0\0\0\0\0\0\0\u0003'), /Photoshop/],
    ['PDF', latin1('%PDF-1.7\n%\u00e2\u00e3'), /PDF\. Render it/],
    ['a ZIP archive', Buffer.concat([latin1('PK\u0003\u0004\u0014\0\0\0'), deflateRawSync('x')]), /ZIP/],
    ['gzip', gzipSync(png), /gzip/],
    ['SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), /SVG\. Render it/],
    ['SVG of Inkscape', Buffer.from('\ufeff<?xml version="1.0"?>\n<!-- Inkscape -->\n<svg\n/>'), /SVG/],
    ['HTML', Buffer.from('\n\n<!DOCTYPE html><html lang="en">'), /HTML, as an address answers/],
    ['XML', Buffer.from('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'), /XML/],
    ['JSON', Buffer.from('{"error":"not found"}'), /JSON/],
    ['a data: URI', Buffer.from('data:image/png;base64,iVBORw0KGgo='), /data: URI/],
    ['an address', Buffer.from('https://example.com/cat.jpg\n'), /address as text/],
    ['base64', Buffer.from(png.toString('base64')), /base64/],
    ['a text in UTF-8', Buffer.from('Größe: 3'.repeat(100)), /text/],
    ['a text in UTF-16', Buffer.from('\ufeffHello', 'utf16le'), /text/],
  ])('%s', (_, bytes, expected) => {
    expect(describeForeignBytes(bytes)).toMatch(expected)
    expect(describeForeignBytes(bytes)).toMatch(/^The image has to be a JPEG, PNG or WebP; its bytes are /)
  })

  test('no bytes', () => {
    expect(describeForeignBytes(Buffer.alloc(0))).toMatch(/is empty/)
  })

  test('bytes that nobody knows, cut anywhere', () => {
    const unknown = Buffer.from('ffd900c1a09f8e7d6c5b4a392817060504030201', 'hex')
    for (let length = 1; length <= unknown.length; length += 1) {
      expect(describeForeignBytes(unknown.subarray(0, length))).toBe(
        'The image has to be a JPEG, PNG or WebP; its bytes are none.',
      )
    }
  })

  test.each([
    ['ftyp', ftyp('heic')],
    ['BMP', latin1('BM\u0046\0\0\0\0\0\0\0\u0036\0\0\0\u0028')],
    ['UTF-16', Buffer.from('\ufeff', 'utf16le')],
  ])('what ends within its first bytes (%s) is read no further', (_, bytes) => {
    for (let length = 0; length < 16; length += 1) {
      expect(() => describeForeignBytes(bytes.subarray(0, length))).not.toThrow()
    }
  })
})
