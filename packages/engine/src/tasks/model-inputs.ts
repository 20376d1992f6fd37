import { uprightSizeOf } from '@vision-queue/image-header'

import { createHeavyTurns } from '../images/heavy-images.ts'
import { blankImage, decodeImage } from '../images/image-preprocessing.ts'
import {
  checkSize,
  createPixelWriter,
  pixelDims,
  placeOf,
  tensorSize,
  type Channels,
  type PixelLayout,
} from '../images/pixel-writer.ts'
import { piecesField, type Preprocessing, toPreprocessing } from '@vision-queue/models'
import type { Row } from '../onnx/collate.ts'
import type { Session } from '../onnx/session.ts'
import { isPixelType, type TensorShape } from '../onnx/tensor.ts'
import { type ImagePlace, imagePlaceOf } from './image-place.ts'
import { lacking } from './lacking.ts'
import type { TaskModel } from './task.ts'

/** An image as the graph takes it. */
export interface ImageRows {
  rows: Record<string, Row>
  /** Where the tensor lies in the image. */
  place: ImagePlace
}

/** Compressed bytes to the rows of the graph's image input; see `openPlacedInput`. */
export function openImageInput(model: TaskModel): (image: Uint8Array) => Promise<Record<string, Row>> {
  const toImageRows = openPlacedInput(model)
  return async (image) => (await toImageRows(image)).rows
}

/**
 * Compressed bytes to the rows of the graph's image input. Which input that is, its type, layout,
 * channels and size are read from the graph, and from model.json and the preprocessing where it
 * leaves them open; throws `model_unavailable` where they contradict each other.
 */
export function openPlacedInput(model: TaskModel): (image: Uint8Array) => Promise<ImageRows> {
  const { folder, maxImagePixels, shrinkAbovePixels, heavyImageBytes } = model
  if (folder.preprocessing === null) {
    throw lacking(
      folder,
      'preprocessor_config.json or `preprocessing` in model.json, which say how images are prepared',
    )
  }
  const field = piecesField(folder.preprocessing)
  if (field !== null) {
    throw lacking(
      folder,
      `images as one tensor each: by ${field} of its preprocessing they become several pieces, which ${folder.task} can't take`,
    )
  }
  const [name, { type, dims: wanted }] = findImageInput(model)
  if (!isPixelType(type)) throw lacking(folder, `${name} as float32, float16 or uint8; the graph takes ${type}`)
  const row = wanted.slice(1)
  const layout: PixelLayout = { type, layout: findLayout(model, row), channels: 'RGB' }
  const [graphChannels, ...graphSize] = layout.layout === 'NCHW' ? row : [row[2] ?? null, ...row.slice(0, 2)]
  const [height = null, width = null] = graphSize
  const preprocessing = toPreprocessing(
    folder.preprocessing,
    height === null || width === null ? null : { height, width },
  )
  if (preprocessing === null) {
    throw lacking(folder, `\`size\` in its preprocessing, as ${name} takes images of any size`)
  }
  layout.channels = findChannels(model, graphChannels ?? null, preprocessing.isBgr)
  checkDims(model, { name, row, layout, preprocessing })
  const writePixels = createPixelWriter(preprocessing, layout)
  const toMask = openPixelMask(model, preprocessing)
  const inTurn = createHeavyTurns(heavyImageBytes)
  return async (image) => {
    const decoded = await inTurn(image, async () =>
      decodeImage(image, { preprocessing, maxPixels: maxImagePixels, shrinkAbovePixels }),
    )
    checkSize(preprocessing, decoded)
    const pixels: Row = {
      type,
      dims: pixelDims(layout, tensorSize(preprocessing, decoded)),
      write: (target, offset) => {
        writePixels(target, offset, decoded)
      },
    }
    const original = uprightSizeOf(image) ?? decoded
    const place = imagePlaceOf(original, decoded, {
      ...tensorSize(preprocessing, decoded),
      ...placeOf(preprocessing, decoded),
    })
    return { rows: { [name]: pixels, ...toMask(decoded) }, place }
  }
}

/** Throws `model_unavailable` where the preprocessing makes other tensors than the graph takes. */
function checkDims(
  { folder }: TaskModel,
  {
    name,
    row,
    layout,
    preprocessing,
  }: { name: string; row: readonly (number | null)[]; layout: PixelLayout; preprocessing: Preprocessing },
): void {
  const made: (number | null)[] = pixelDims(layout, preprocessing)
  const channelsAt = layout.layout === 'NCHW' ? 0 : 2
  const heightAt = layout.layout === 'NCHW' ? 1 : 0
  const stays = (at: number): boolean => at === channelsAt || (at === heightAt && preprocessing.resize?.fit === 'line')
  if (preprocessing.varies) for (const at of made.keys()) if (!stays(at)) made[at] = null
  const { scale } = preprocessing
  if (layout.channels.length === 4 && scale.length === 3) {
    throw lacking(folder, 'image_mean and image_std of four numbers, or one, for a graph of four channels')
  }
  if (row.length === 3 && row.every((dim, index) => dim === null || dim === made[index])) return
  const shown = (dims: readonly (number | null)[]): string => dims.map((dim) => dim ?? 'any').join(', ')
  const remedy = preprocessing.varies ? '; write `preprocessing` in model.json with `size` {height, width}' : ''
  throw lacking(
    folder,
    `images of the graph's size: its preprocessing (preprocessor_config.json or model.json) makes [${shown(made)}], ${name} takes [${shown(row)}]${remedy}`,
  )
}

/**
 * Which pixels of a tensor are the image's, for graphs that ask for it (`pixel_mask`): 1 there, 0 on the ground around
 * it. Where the graph fixes another size than the tensor's, as exports of DETR do, the whole of it counts.
 */
function openPixelMask(
  { session }: TaskModel,
  preprocessing: Preprocessing,
): (image: { height: number; width: number }) => Record<string, Row> {
  const name = 'pixel_mask'
  const shape = session.inputs.get(name)
  if (shape === undefined) return () => ({})
  const [, fixedHeight = null, fixedWidth = null] = shape.dims
  return (image) => {
    const tensor = tensorSize(preprocessing, image)
    const [height, width] = [fixedHeight ?? tensor.height, fixedWidth ?? tensor.width]
    const isWhole = height !== tensor.height || width !== tensor.width || preprocessing.padding === null
    if (isWhole)
      return { [name]: { type: 'numbers', dims: [height, width], values: new Uint8Array(height * width).fill(1) } }
    const values = new Uint8Array(height * width)
    const { top, left } = placeOf(preprocessing, image)
    for (let row = top; row < top + image.height; row += 1) {
      values.fill(1, row * width + left, row * width + left + image.width)
    }
    return { [name]: { type: 'numbers', dims: [height, width], values } }
  }
}

/** The size in pixels that images are asked to have where the model doesn't resize, for made-up ones. */
export function sampleSize({ folder, session }: Pick<TaskModel, 'folder' | 'session'>): {
  height: number
  width: number
} {
  const size = folder.preprocessing === null ? null : toPreprocessing(folder.preprocessing)
  if (size !== null) return size
  const fixed = [...session.inputs.values()].find(({ dims }) => dims.length === 4)?.dims.slice(1) ?? []
  const edges = fixed.filter((dim) => dim !== null && dim > 4)
  return { height: edges[0] ?? 32, width: edges[1] ?? 32 }
}

/** An image of one colour, white unless another is named, of that size as the graph takes it. */
export async function sampleRows(
  model: Pick<TaskModel, 'folder' | 'session'>,
  toPixels: (image: Uint8Array) => Promise<Record<string, Row>>,
  background?: string,
): Promise<Record<string, Row>> {
  return toPixels(await blankImage(sampleSize(model), background))
}

function findImageInput({ folder, session }: TaskModel): [string, TensorShape] {
  const named = folder.settings.inputs.image
  const known = named ?? (session.inputs.has('pixel_values') ? 'pixel_values' : undefined)
  if (known !== undefined) return [known, requireInput({ folder, session }, known)]
  const images = [...session.inputs].filter(([, { type, dims }]) => dims.length === 4 && isPixelType(type))
  const [only, ...others] = images
  if (only === undefined || others.length > 0) {
    throw lacking(folder, `inputs.image in model.json, the name of the image input; the graph has: ${list(session)}`)
  }
  return only
}

/** Where the graph's dimensions leave it open which are the channels, three and one go before four, and the first place before the last. */
function findLayout({ folder }: TaskModel, [first, , last]: readonly (number | null)[]): 'NCHW' | 'NHWC' {
  const usual = [1, 3].includes(first ?? 0)
  const isLast = [1, 3].includes(last ?? 0) ? !usual : last === 4 && !usual && first !== 4
  return folder.settings.layout ?? (isLast ? 'NHWC' : 'NCHW')
}

function findChannels({ folder }: TaskModel, count: number | null, isBgr: boolean): Channels {
  const { channels } = folder.settings
  if (count !== null && ![1, 3, 4].includes(count))
    throw lacking(folder, `1, 3 or 4 channels; the graph takes ${count}`)
  if (count === 4 && channels === undefined) {
    throw lacking(folder, '`channels` in model.json, RGBA or BGRA, for a graph of four; the fourth is 255 everywhere')
  }
  if (channels !== undefined && count !== null && channels.length !== count) {
    throw lacking(folder, `channels in model.json that fit the graph: ${channels}, which takes ${count}`)
  }
  return channels ?? (count === 1 ? 'L' : isBgr ? 'BGR' : 'RGB')
}

/** The graph's input of this name; throws `model_unavailable` listing those there are. */
export function requireInput({ folder, session }: Pick<TaskModel, 'folder' | 'session'>, name: string): TensorShape {
  const input = session.inputs.get(name)
  if (input === undefined) throw lacking(folder, `an input named ${name}; the graph has: ${list(session)}`)
  return input
}

function list({ inputs }: Session): string {
  return [...inputs.keys()].join(', ')
}
