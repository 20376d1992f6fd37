import { VisionQueueError } from '@vision-queue/protocol'

import type { PixelPiece } from '../images/image-plan.ts'
import { fromHalves } from '../onnx/half-float.ts'
import { blankFeed, type Feed, isPixelType, toFeed, type OutputTensor } from '../onnx/tensor.ts'
import type { Session } from '../onnx/session.ts'
import { isFar } from '../tasks/neighbours.ts'

/** A piece of an image on its way to its features: a tile, or a whole image. */
export interface VisionPiece {
  /** Decodes its image, unless that was done. Null once it is encoded, so that the image's file is let go. */
  load: (() => Promise<void>) | null
  /** Null before it is loaded, and once it is encoded. */
  pixels: PixelPiece | null
  /** Of an image in patches: how many there are by time, height and width. Null of others. */
  grid: readonly [number, number, number] | null
  /** How many features it will have; null where only the encoder knows. */
  tokens: number | null
  /** ``float32 [tokens, width]``; null until it is encoded. */
  features: Float32Array | null
}

/** The graph that makes features of images. */
export interface VisionEncoder {
  /** Features of one piece; null where it depends on the image. */
  pieceTokens: number | null
  /** How many pieces a run of a moment takes. */
  piecesAtOnce: number
  /** Encodes pieces, those of one run together; all of them or none. */
  encode: (pieces: readonly VisionPiece[]) => Promise<void>
}

/**
 * How the graph takes pieces: as the rows of `pixel_values` ``[pieces, 3, H, W]``; as the tiles of one conversation,
 * ``[1, pieces, 3, H, W]``, with `pixel_attention_mask`; or as the patches of all images one after the other,
 * ``[patches, size]``, with a grid for each.
 */
type Layout = 'rows' | 'tiles' | 'patches'

/** Those who are reading other answers wait for a run of the encoder: about so long at most, unless one piece takes longer. */
const momentMs = 50
const mostAtOnce = 16

const [pixelsName, maskName, featuresName] = ['pixel_values', 'pixel_attention_mask', 'image_features']
const gridNames = ['image_grid_thw', 'grid_thw']

/**
 * Opens `vision_encoder`. `samples` are two pieces that it is tried with, alone and together: pieces share runs only where
 * that changes nothing, as they are of different jobs. Throws `model_unavailable` where the graph is none of the known forms.
 */
export async function openVisionEncoder(
  session: Session,
  { samples, shownAs }: { samples: readonly VisionPiece[]; shownAs: string },
): Promise<VisionEncoder> {
  const layout = layoutOf(session, shownAs)
  const run = async (pieces: readonly VisionPiece[]): Promise<OutputTensor> => {
    const feeds = toFeeds(session, layout, pieces)
    // Not by rows, as `run` might: pieces are not always on the first dimension.
    const outputs = await session.runInto?.(feeds, { [featuresName]: null })
    const features = outputs?.[featuresName]
    if (features === undefined) throw new Error(`no ${featuresName} came out`)
    if (features.type === 'float32') return features
    if (features.type === 'float16') return { data: fromHalves(features.data), dims: features.dims }
    throw new Error(`${featuresName} came out as ${features.type}`)
  }
  const together = session.rowsApart !== true && (await areEqualTogether(run, samples))
  const [sample] = samples
  if (sample === undefined) throw new Error('an encoder is tried with samples')
  const started = performance.now()
  const { data, dims } = await run([sample])
  const pieceMs = performance.now() - started

  return {
    pieceTokens: layout === 'patches' ? null : data.length / (dims.at(-1) ?? 1),
    piecesAtOnce: Math.max(1, Math.min(mostAtOnce, Math.floor(momentMs / pieceMs))),
    async encode(pieces) {
      await Promise.all([...new Set(pieces.map(({ load }) => load))].map(async (load) => load?.()))
      const groups = together ? groupBySize(pieces, layout) : pieces.map((piece) => [piece])
      const features: [VisionPiece, Float32Array][] = []
      for (const group of groups) {
        const parts = split(await run(group), group)
        for (const [index, piece] of group.entries()) {
          const part = parts[index]
          // A copy: a part of the run's output would keep all of it in memory for as long as it is kept itself.
          if (part !== undefined) features.push([piece, part.slice()])
        }
      }
      for (const [piece, own] of features) {
        piece.features = own
        piece.pixels = null
        piece.load = null
      }
    },
  }
}

/** The layout by the graph's inputs. */
export function layoutOf({ inputs, outputs }: Session, shownAs: string): Layout {
  const lacking = (what: string): VisionQueueError =>
    new VisionQueueError('model_unavailable', `${shownAs}: onnx/vision_encoder.onnx needs ${what}.`)
  const pixels = inputs.get(pixelsName)
  if (pixels === undefined) throw lacking(`an input named ${pixelsName}; it has: ${[...inputs.keys()].join(', ')}`)
  if (!isPixelType(pixels.type)) throw lacking(`${pixelsName} as float32, float16 or uint8; it has ${pixels.type}`)
  if (!outputs.has(featuresName)) {
    throw lacking(`an output named ${featuresName}; it has: ${[...outputs.keys()].join(', ')}`)
  }
  const known = new Set([pixelsName, maskName, ...gridNames])
  const unknown = [...inputs.keys()].filter((name) => !known.has(name))
  if (unknown.length > 0) throw lacking(`no inputs that are not known: ${unknown.join(', ')}`)
  const rank = pixels.dims.length
  if (rank === 4) return 'rows'
  if (rank === 5) return 'tiles'
  if (rank === 2 && gridNames.some((name) => inputs.has(name))) return 'patches'
  throw lacking(`${pixelsName} of 4 or 5 dimensions, or of 2 beside image_grid_thw; it has ${rank}`)
}

async function areEqualTogether(
  run: (pieces: readonly VisionPiece[]) => Promise<OutputTensor>,
  samples: readonly VisionPiece[],
): Promise<boolean> {
  if (samples.length < 2) return true
  const beside = split(await run(samples), samples)
  for (const [index, piece] of samples.entries()) {
    const [alone] = split(await run([piece]), [piece])
    const other = beside[index]
    if (alone === undefined || other === undefined) return false
    if (isFar({ data: alone, dims: [alone.length] }, { data: other, dims: [other.length] })) return false
  }
  return true
}

/** Pieces of other sizes can't be stacked; patches of any images can. */
function groupBySize(pieces: readonly VisionPiece[], layout: Layout): VisionPiece[][] {
  if (layout === 'patches') return [[...pieces]]
  const groups = new Map<string, VisionPiece[]>()
  for (const piece of pieces) {
    const key = pixelsOf(piece).dims.join('x')
    groups.set(key, [...(groups.get(key) ?? []), piece])
  }
  return [...groups.values()]
}

function toFeeds(session: Session, layout: Layout, pieces: readonly VisionPiece[]): Record<string, Feed> {
  const pixels = pieces.map(pixelsOf)
  const [first] = pixels
  if (first === undefined) throw new Error('there are no pieces to encode')
  const { dims: graphDims = [] } = session.inputs.get(pixelsName) ?? {}
  const feed = blankFeed(first.type, dimsOf(layout, pixels, graphDims))
  let offset = 0
  for (const { dims, write } of pixels) {
    write(feed.data, offset)
    offset += dims.reduce((product, dim) => product * dim, 1)
  }
  const feeds: Record<string, Feed> = { [pixelsName]: feed }
  const mask = session.inputs.get(maskName)
  if (mask !== undefined) {
    const [height = 1, width = 1] = first.dims.slice(1)
    const all = new Float32Array(pieces.length * height * width).fill(1)
    for (const [index, { mask: own }] of pixels.entries()) if (own !== null) all.set(own, index * height * width)
    feeds[maskName] = toFeed(mask.type, all, [...feed.dims.slice(0, 2), height, width])
  }
  const gridName = gridNames.find((name) => session.inputs.has(name))
  if (gridName !== undefined) {
    const grids = pieces.flatMap(({ grid }) => grid ?? [])
    feeds[gridName] = toFeed(session.inputs.get(gridName)?.type ?? 'int64', grids, [pieces.length, 3])
  }
  return feeds
}

function dimsOf(layout: Layout, pixels: readonly PixelPiece[], graph: readonly (number | null)[]): number[] {
  const own = [...(pixels[0]?.dims ?? [])]
  switch (layout) {
    case 'rows':
      return [pixels.length, ...own]
    case 'tiles':
      // A graph that fixes one tile takes the pieces as its rows.
      return graph[1] === 1 ? [pixels.length, 1, ...own] : [1, pixels.length, ...own]
    case 'patches':
      return [pixels.reduce((sum, { dims }) => sum + (dims[0] ?? 0), 0), ...own.slice(1)]
    default:
      return layout satisfies never
  }
}

/** Each piece's part of the features; throws where there are others than the pieces should have. */
function split({ data, dims }: OutputTensor, pieces: readonly VisionPiece[]): Float32Array[] {
  const width = dims.at(-1) ?? 1
  const total = data.length / width
  const counts = pieces.map(({ tokens }) => tokens ?? total / pieces.length)
  const wanted = counts.reduce((sum, count) => sum + count, 0)
  if (wanted !== total || counts.some((count) => !Number.isInteger(count))) {
    throw new Error(`${total} features came out for ${pieces.length} pieces of ${counts.join(', ')}`)
  }
  let from = 0
  return counts.map((count) => {
    from += count * width
    return data.subarray(from - count * width, from)
  })
}

function pixelsOf({ pixels }: VisionPiece): PixelPiece {
  if (pixels === null) throw new Error('a piece was to be encoded that is not loaded, or twice')
  return pixels
}
