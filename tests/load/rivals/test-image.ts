import sharp from 'sharp'

const [width, height] = [640, 480]

/**
 * A JPEG of 640x480 and about 50 KB, as a phone's picture shrunk for upload has; the same bytes at every
 * call. A gradient with coarse noise: nobody decodes it here, but its size has to be a photograph's.
 */
export async function testImage(): Promise<Buffer> {
  const pixels = Buffer.alloc(width * height * 3)
  let state = 1
  for (let index = 0; index < pixels.length; index += 1) {
    // A linear congruential generator (Numerical Recipes' constants): noise that never changes.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    const slope = ((index % (width * 3)) / (width * 3)) * 200
    pixels[index] = slope + (state >>> 24) / 5
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 80 })
    .toBuffer()
}
