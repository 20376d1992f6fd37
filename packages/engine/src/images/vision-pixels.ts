import { uprightSizeOf } from '@vision-queue/image-header'
import {
  type ModelFolder,
  type PreprocessorConfig,
  type Size,
  toColours,
  toPreprocessing,
  toTiling,
} from '@vision-queue/models'

import { isPixelType, type TensorShape } from '../onnx/tensor.ts'
import { lacking } from '../tasks/lacking.ts'
import type { TaskModel } from '../tasks/task.ts'
import { createHeavyTurns } from './heavy-images.ts'
import type { ImagePlan, PieceRule, PixelPiece, WantedDetail } from './image-plan.ts'
import { decodeImage, type DecodedImage, tooManyPixels, unknownFormat } from './image-preprocessing.ts'
import { imageSquare } from './image-square.ts'
import { patchRows } from './patch-rows.ts'
import { pinpointTiles } from './pinpoint-tiles.ts'
import type { PieceFormat } from './pixel-piece.ts'
import { splitTiles } from './split-tiles.ts'
import { squaredImage, wholeImage } from './whole-image.ts'

/** How a vision-language model's images become its encoder's input. */
export interface VisionPixels {
  rule: ImagePlan['rule']
  /** Of every piece; a dimension that differs by image is null, as the number of Qwen-VL's patches. */
  pieceDims: readonly (number | null)[]
  /** Throws `image_too_large` for proportions that the model can't take. */
  plan: (original: Size, wanted?: WantedDetail) => ImagePlan
  /** The plan by a file's header, before anything is decoded. Throws `image_undecodable` too. */
  planOf: (file: Uint8Array, wanted?: WantedDetail) => ImagePlan
  /**
   * The pieces of a planned image. Decoding runs in libuv's thread pool, heavy images one at a time; what is held until
   * the pieces are written is 3 bytes a pixel of them. Rejects with `image_undecodable`.
   */
  read: (file: Uint8Array, plan: ImagePlan) => Promise<PixelPiece[]>
}

/** What of a model it is told; images' limits are those of every task. */
type Model = Pick<TaskModel, 'maxImagePixels' | 'shrinkAbovePixels' | 'heavyImageBytes'> & {
  folder: Pick<ModelFolder, 'name' | 'version' | 'task' | 'preprocessing'>
}

/**
 * Reads from the folder's preprocessing by which rule images become pieces. `input` is what the graph says of its pixels.
 * Throws `model_unavailable` where the preprocessing is missing or makes other tensors than the graph takes.
 */
export function openVisionPixels(model: Model, input: TensorShape): VisionPixels {
  const { folder } = model
  const config = folder.preprocessing
  if (config === null) throw lacking(folder, 'preprocessor_config.json, which says how images are prepared')
  const { type } = input
  if (!isPixelType(type)) throw lacking(folder, `pixels as float32, float16 or uint8; the graph takes ${type}`)
  const pieces = findRule(model, config, { ...toColours(config), type }, input)
  checkDims(model, pieces, input)
  const { maxImagePixels: maxPixels, shrinkAbovePixels, heavyImageBytes } = model
  const { kernel } = toColours(config)
  const inTurn = createHeavyTurns(heavyImageBytes)
  const plan: VisionPixels['plan'] = (original, wanted = {}) => pieces.plan(original, wanted)
  return {
    rule: pieces.rule,
    pieceDims: pieces.pieceDims,
    plan,
    planOf(file, wanted) {
      const original = uprightSizeOf(file)
      if (original === null) throw unknownFormat()
      if (original.height * original.width > maxPixels) throw tooManyPixels(maxPixels)
      return plan(original, wanted)
    },
    read: async (file, planned) => {
      const decode = async (size: Size | null): Promise<DecodedImage> => {
        const resize = size === null ? null : ({ ...size, fit: 'fill' } as const)
        return inTurn(file, async () =>
          decodeImage(file, { preprocessing: { resize, kernel }, maxPixels, shrinkAbovePixels }),
        )
      }
      return pieces.read(decode, planned)
    },
  }
}

function findRule({ folder }: Model, config: PreprocessorConfig, format: PieceFormat, input: TensorShape): PieceRule {
  const tiling = toTiling(config)
  switch (tiling.rule) {
    case 'split':
      return splitTiles(tiling, format)
    case 'pinpoints':
      return pinpointTiles(tiling, format, imageSquare(tiling.tile, config.image_mean ?? [0], format))
    case 'patches':
      return patchRows(tiling, format)
    case 'whole': {
      const [height = null, width = null] = input.dims.slice(-2)
      const graphSize = height === null || width === null ? null : { height, width }
      const preprocessing = toPreprocessing(config, graphSize)
      if (preprocessing === null)
        throw lacking(folder, '`size` in its preprocessing, as the graph takes images of any size')
      if (!tiling.squares) return wholeImage(preprocessing, format)
      const { height: edge } = preprocessing
      return squaredImage(edge, imageSquare(edge, config.image_mean ?? [0], format), format)
    }
    default:
      return tiling satisfies never
  }
}

/** Throws `model_unavailable` where the graph takes pieces of other dimensions. */
function checkDims({ folder }: Model, { rule, pieceDims }: PieceRule, { dims }: TensorShape): void {
  // What stands before them is how many images and pieces there are; patches have no such dimension.
  const ofPieces = rule === 'patches' ? dims : dims.slice(-3)
  const fits =
    ofPieces.length === pieceDims.length &&
    ofPieces.every((dim, at) => dim === null || dim === pieceDims[at] || pieceDims[at] === null)
  if (fits && (rule === 'patches' || dims.length === 4 || dims.length === 5)) return
  const shown = (list: readonly (number | null)[]): string => list.map((dim) => dim ?? 'any').join(', ')
  const made = rule === 'patches' ? shown(pieceDims) : `any, ${shown(pieceDims)}`
  throw lacking(
    folder,
    `images of the graph's size: its preprocessing makes [${made}], the graph takes [${shown(dims)}]`,
  )
}
