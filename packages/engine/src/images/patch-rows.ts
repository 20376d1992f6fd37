import { resizedSize, type Size, type Tiling } from '@vision-queue/models'

import type { PixelArray } from '../onnx/tensor.ts'
import { otherRule, type PieceRule, plannedSizes, type WantedDetail } from './image-plan.ts'
import { checkProportions, type DecodedImage } from './image-preprocessing.ts'
import type { PieceFormat } from './pixel-piece.ts'
import { toTable } from './pixel-writer.ts'

type Patches = Extract<Tiling, { rule: 'patches' }>

/** Of an image looked at in low detail: OpenAI's `low` is 512 x 512. The fewest pixels of these models would show nothing. */
const lowPixels = 512 * 512
/** As Qwen-VL's processor has it. */
const mostElongated = 200

/**
 * Qwen-VL's rule, as its processor computes it: both edges become multiples of `patch * merge` with about the proportions
 * and a number of pixels within bounds, and the image is a list of patches, those first that are merged.
 */
export function patchRows(tiling: Patches, format: PieceFormat): PieceRule {
  const { patch, merge, temporal } = tiling
  const valuesOfPatch = 3 * temporal * patch * patch
  const writePatches = createPatchWriter(tiling, format)

  return {
    rule: 'patches',
    pieceDims: [null, valuesOfPatch],
    plan(original, wanted) {
      checkProportions(original, mostElongated)
      const used = usedSize(original, tiling, wanted)
      const grid = { time: 1, height: used.height / patch, width: used.width / patch }
      const key = `patches ${used.width}x${used.height}`
      return { rule: 'patches', ...plannedSizes(original, used), grid, mergeSize: merge, pieces: 1, key }
    },
    async read(decode, planned) {
      if (planned.rule !== 'patches') throw otherRule(planned)
      const { used, grid } = planned
      const image = await decode(used)
      return [
        {
          dims: [grid.height * grid.width, valuesOfPatch],
          type: format.type,
          write: (target, offset) => {
            writePatches(target, offset, image)
          },
          mask: null,
        },
      ]
    },
  }
}

function usedSize(
  original: Size,
  { patch, merge, minPixels, maxPixels: ownMost }: Patches,
  { detail, maxPixels = Infinity }: WantedDetail,
): Size {
  const factor = patch * merge
  const own = resizedSize({ fit: 'pixels', factor, minPixels, maxPixels: ownMost }, original)
  const most = Math.min(maxPixels, detail === 'low' ? lowPixels : Infinity)
  if (own.height * own.width <= most) return own
  const least = Math.min(minPixels, most)
  const fitted = resizedSize({ fit: 'pixels', factor, minPixels: least, maxPixels: most }, original)
  if (fitted.height * fitted.width <= most) return fitted
  // A strip as narrow as can be, of which the rule, as the original has it, takes more than was asked for.
  const longer = Math.max(factor, Math.floor(most / factor / factor) * factor)
  return original.height < original.width ? { height: factor, width: longer } : { height: longer, width: factor }
}

/** ``[rows / merge, columns / merge, merge, merge, 3, temporal, patch, patch]``: an image is the same at all of its times. */
function createPatchWriter(
  { patch, merge, temporal }: Patches,
  format: PieceFormat,
): (target: PixelArray, offset: number, image: DecodedImage) => void {
  const colours = (format.isBgr ? [2, 1, 0] : [0, 1, 2]).map((colour, channel) => ({
    colour,
    table: toTable(format, channel, format.type),
  }))
  const plane = patch * patch

  function writePatch(target: PixelArray, start: number, { bytes, width }: DecodedImage, first: number): void {
    let to = start
    for (const { colour, table } of colours) {
      for (let row = 0; row < patch; row += 1) {
        let pixel = first + row * width * 3 + colour
        for (let column = 0; column < patch; column += 1) {
          target[to] = table[bytes[pixel] ?? 0] ?? 0
          to += 1
          pixel += 3
        }
      }
      for (let time = 1; time < temporal; time += 1) {
        target.copyWithin(to, to - plane, to)
        to += plane
      }
    }
  }

  return (target, offset, image) => {
    let at = offset
    const block: Size = { height: patch * merge, width: patch * merge }
    for (let top = 0; top < image.height; top += block.height) {
      for (let left = 0; left < image.width; left += block.width) {
        for (let inner = 0; inner < merge * merge; inner += 1) {
          const row = top + Math.floor(inner / merge) * patch
          const column = left + (inner % merge) * patch
          writePatch(target, at, image, (row * image.width + column) * 3)
          at += 3 * temporal * plane
        }
      }
    }
  }
}
