import { inflateSync } from 'node:zlib'

import { type ImagePart, partsOf } from '@vision-queue/image-header'

import { isSrgbProfile } from './icc-profile.ts'

/** What a file's header says of its colours. */
export interface Colours {
  /** What the pixels are stored as; null where it can't be told. */
  kind: 'grey' | 'rgb' | 'cmyk' | null
  /**
   * Whether the embedded profile is sRGB. The colours are then what we want already; libvips would build and apply
   * a transform that changes nothing, 2 to 4 ms an image.
   */
  isMarkedSrgb: boolean
}

/**
 * Reads how many colours there are, and the profile from where the format keeps it: JPEG's APP2 segments in the order
 * of their numbers, PNG's iCCP, WebP's ICCP. A thumbnail's profile is not the image's, nor is one behind the image
 * (as the second image of a phone's file may have). PNG's sRGB, gAMA, cHRM and cICP chunks don't count, as for PIL.
 */
export function coloursOf(file: Uint8Array): Colours {
  const parts = [...partsOf(file)]
  const profile = profileIn(parts)
  return { kind: kindIn(parts), isMarkedSrgb: profile !== null && isSrgbProfile(profile) }
}

function kindIn(parts: readonly ImagePart[]): Colours['kind'] {
  for (const { name, content } of parts) {
    if (name.startsWith('SOF')) return ({ 1: 'grey', 3: 'rgb', 4: 'cmyk' } as const)[content[5] ?? 0] ?? null
    // PNG specification, 11.2.1: bit 1 of the colour type stands for colour.
    if (name === 'IHDR') return ((content[9] ?? 0) & 2) === 0 ? 'grey' : 'rgb'
    if (name.startsWith('VP8')) return 'rgb'
  }
  return null
}

const jpegProfileName = 'ICC_PROFILE\0'

/** Null where there is none, and where it isn't whole: libvips sees to that, and what it can't read it leaves out. */
function profileIn(parts: readonly ImagePart[]): Buffer | null {
  const pieces: Buffer[] = []
  for (const { name, content } of parts) {
    if (name === 'iCCP') return inflated(content)
    if (name === 'ICCP') return content
    if (name === 'APP2' && content.toString('latin1', 0, jpegProfileName.length) === jpegProfileName) {
      // ICC.1:2022, B.4: the number of this piece, from 1 on, and how many there are.
      const number = content[jpegProfileName.length] ?? 0
      if (pieces[number] !== undefined) return null
      pieces[number] = content.subarray(jpegProfileName.length + 2)
    }
  }
  const numbered = Array.from(pieces.slice(1), (piece?: Buffer) => piece ?? null)
  const whole = numbered.filter((piece) => piece !== null)
  return whole.length === 0 || whole.length < numbered.length ? null : Buffer.concat(whole)
}

/** Profiles that are sRGB have 0.5 to 60 KB; more isn't unpacked. */
const mostProfileBytes = 65_536

/** PNG specification, 11.3.2.3: a name, a zero, the method, then the packed profile. */
function inflated(chunk: Buffer): Buffer | null {
  try {
    return inflateSync(chunk.subarray(chunk.indexOf(0) + 2), { maxOutputLength: mostProfileBytes })
  } catch {
    return null
  }
}
