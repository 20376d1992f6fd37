/** Where the fields of an ICC profile stand, by ICC.1:2022, 7.2 and 7.3. */
const signatureAt = 36
const tagCountAt = 128
const tagTableAt = 132
const tagLength = 12
const mostTags = 100

/**
 * Whether a JPEG or WebP carries a profile that calls itself sRGB. Its colours are then what we want
 * already; libvips would build and apply a transform that changes nothing, 2 to 4 ms an image. False where
 * there is no profile, or another, or one that isn't within the first 64 KiB. It isn't looked for in a
 * PNG, which holds it compressed. A file that lies gets the colours of its bytes.
 */
export function isMarkedSrgb(file: Uint8Array): boolean {
  const header = Buffer.from(file.buffer, file.byteOffset, Math.min(file.length, 65_536))
  const start = profileStart(header)
  if (start === null || header.length < start + tagTableAt) return false
  const profile = header.subarray(start)
  if (profile.toString('latin1', signatureAt, signatureAt + 4) !== 'acsp') return false
  const tags = Math.min(profile.readUInt32BE(tagCountAt), mostTags)
  for (let tag = tagTableAt; tag < tagTableAt + tags * tagLength; tag += tagLength) {
    if (profile.length < tag + tagLength) return false
    if (profile.toString('latin1', tag, tag + 4) !== 'desc') continue
    const from = profile.readUInt32BE(tag + 4)
    const length = Math.min(profile.readUInt32BE(tag + 8), 256)
    // One byte a letter in version 2, two in version 4.
    return profile
      .toString('latin1', from, from + length)
      .replaceAll('\0', '')
      .includes('sRGB')
  }
  return false
}

/** In a JPEG behind the name of its APP2 segment and the number of its part; in a WebP in a chunk of its own. */
function profileStart(header: Buffer): number | null {
  if (header.length > 2 && header.readUInt16BE(0) === 0xffd8) {
    const name = 'ICC_PROFILE\0'
    const at = header.indexOf(name, 0, 'latin1')
    return at === -1 ? null : at + name.length + 2
  }
  // The chunk stands right behind the header of the extended format (RFC 9649, 2.7).
  return header.toString('latin1', 30, 34) === 'ICCP' && header.toString('latin1', 8, 12) === 'WEBP' ? 38 : null
}
