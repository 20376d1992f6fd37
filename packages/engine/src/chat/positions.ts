/** Where the ids of a prompt stand. */
export interface PromptPositions {
  /** By axis the position of each id: one axis, or three. */
  positions: readonly Int32Array[]
  /** Of the first generated token, on every axis. */
  nextPosition: number
}

/** Each id one further than the one before it. Gemma's models count from 1, all others from 0. */
export function plainPositions(length: number, from = 0): PromptPositions {
  return { positions: [Int32Array.from({ length }, (_, index) => from + index)], nextPosition: from + length }
}

/** An image's features in an M-RoPE prompt: so many rows of so many columns. */
export interface FeatureGrid {
  time: number
  height: number
  width: number
}

/**
 * Positions on three axes (time, height, width), as `get_rope_index` of Hugging Face's Qwen2-VL gives them: text moves on
 * all axes at once; an image's features lie in a grid that begins after the text before it, and the text after
 * it goes on from the largest position there was. Throws where the ids have other places for images than `grids`.
 */
export function multimodalPositions(
  ids: readonly number[],
  featureId: number,
  grids: readonly FeatureGrid[],
): PromptPositions {
  const [time, height, width] = [new Int32Array(ids.length), new Int32Array(ids.length), new Int32Array(ids.length)]
  let next = 0
  let image = 0
  for (let at = 0; at < ids.length;) {
    if (ids[at] !== featureId) {
      time[at] = height[at] = width[at] = next
      next += 1
      at += 1
      continue
    }
    const grid = grids[image]
    if (grid === undefined) throw new Error('the prompt has more places for images than images')
    image += 1
    const size = grid.time * grid.height * grid.width
    for (let index = 0; index < size; index += 1) {
      if (ids[at + index] !== featureId) throw new Error(`an image of ${size} features has ${index} places`)
      time[at + index] = next + Math.floor(index / (grid.height * grid.width))
      height[at + index] = next + (Math.floor(index / grid.width) % grid.height)
      width[at + index] = next + (index % grid.width)
    }
    next += Math.max(grid.time, grid.height, grid.width)
    at += size
  }
  return { positions: [time, height, width], nextPosition: next }
}
