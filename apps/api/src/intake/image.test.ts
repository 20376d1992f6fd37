import { VisionQueueError } from '@vision-queue/protocol'
import { describe, expect, test } from 'vitest'

import { jpegHeader, png, pngHeader, webpHeader } from '../test-support/images.ts'
import { inspectImage } from './image.ts'

const limits = { maxImageBytes: 1_000_000, maxImagePixels: 1_000_000 }

function codeOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof VisionQueueError) return error.code
    throw error
  }
  return 'accepted'
}

describe('the type and size of an image are read from its own bytes', () => {
  test.each([
    ['image/png', pngHeader(640, 480)],
    ['image/jpeg', jpegHeader(640, 480)],
    ['image/webp', webpHeader(640, 480)],
  ])('%s', (type, bytes) => {
    expect(inspectImage(bytes, limits)).toMatchObject({ type, bytes: bytes.length })
    expect(codeOf(() => inspectImage(bytes, { ...limits, maxImagePixels: 640 * 480 }))).toBe('accepted')
    expect(codeOf(() => inspectImage(bytes, { ...limits, maxImagePixels: 640 * 480 - 1 }))).toBe('image_too_large')
  })

  test('a JPEG whose frame header comes after more than 64 KiB of metadata', () => {
    const photo = Buffer.concat([
      jpegHeader(1, 1, 60_000).subarray(0, 60_004),
      jpegHeader(2000, 2000, 60_000).subarray(2),
    ])
    expect(codeOf(() => inspectImage(photo, limits))).toBe('image_too_large')
  })

  test.each([
    ['GIF', Buffer.from('GIF89a\u0001\u0000\u0001\u0000', 'latin1')],
    ['SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')],
    ['one byte', Buffer.from([0xff])],
  ])('%s is an unsupported media type', (_, bytes) => {
    expect(codeOf(() => inspectImage(bytes, limits))).toBe('unsupported_media_type')
  })

  test.each([
    ['a PNG without its header chunk', png.subarray(0, 12)],
    ['a PNG without width', pngHeader(0, 10)],
    ['a JPEG that ends before its frame header', jpegHeader(10, 10).subarray(0, 22)],
    ['a WebP that ends before its dimensions', webpHeader(10, 10).subarray(0, 26)],
  ])('%s is undecodable', (_, bytes) => {
    expect(codeOf(() => inspectImage(bytes, limits))).toBe('image_undecodable')
  })

  test('one byte over the limit is too large a payload', () => {
    expect(codeOf(() => inspectImage(png, { ...limits, maxImageBytes: png.length }))).toBe('accepted')
    expect(codeOf(() => inspectImage(png, { ...limits, maxImageBytes: png.length - 1 }))).toBe('payload_too_large')
  })

  test('the hash is the SHA-256 of the bytes', () => {
    // By sha256sum.
    expect(inspectImage(png, limits).hash).toBe('c6ce2e21ce8ddbdb0cec4d89d21d146826e9b391059d9d6aa9722087310bfcc0')
  })
})
