/** Where a line of text is, in pixels. */
export interface LineBox {
  left: number
  top: number
  width: number
  height: number
}

export interface GreyImage {
  width: number
  height: number
  /** One byte a pixel: how much it belongs to text. */
  data: Uint8Array
}

/** PP-OCR's own thresholds: a pixel is text from here on, and a line is as sure as its pixels are on average. */
const pixelThreshold = 0.3 * 255
const lineThreshold = 0.6 * 255
/** The model marks the middle of each line: the whole is larger by this (differentiable binarization, Liao et al. 2020). */
const unclip = 1.6

/** The lines of text in a map, from the top down: pixels that touch each other, with a margin. */
export function findLines({ width, height, data }: GreyImage): LineBox[] {
  const seen = new Uint8Array(data.length)
  const lines: LineBox[] = []
  for (let start = 0; start < data.length; start += 1) {
    if (seen[start] === 1 || (data[start] ?? 0) < pixelThreshold) continue
    const found = grow({ width, height, data }, start, seen)
    const [w, h] = [found.right - found.left + 1, found.bottom - found.top + 1]
    if (found.sum / found.count < lineThreshold || Math.min(w, h) < 3) continue
    const margin = Math.round((w * h * unclip) / (2 * (w + h)))
    const left = Math.max(0, found.left - margin)
    const top = Math.max(0, found.top - margin)
    lines.push({
      left,
      top,
      width: Math.min(width, found.right + 1 + margin) - left,
      height: Math.min(height, found.bottom + 1 + margin) - top,
    })
  }
  return lines.toSorted((a, b) => a.top - b.top || a.left - b.left)
}

/** What hangs together with a pixel; all of it is marked as seen. */
function grow({ width, height, data }: GreyImage, start: number, seen: Uint8Array) {
  const found = { left: width, right: 0, top: height, bottom: 0, sum: 0, count: 0 }
  const todo = [start]
  seen[start] = 1
  for (let pixel = todo.pop(); pixel !== undefined; pixel = todo.pop()) {
    const [x, y] = [pixel % width, Math.floor(pixel / width)]
    found.left = Math.min(found.left, x)
    found.right = Math.max(found.right, x)
    found.top = Math.min(found.top, y)
    found.bottom = Math.max(found.bottom, y)
    found.sum += data[pixel] ?? 0
    found.count += 1
    for (const [dx, dy] of [
      [1, 0],
      [-1, 0],
      [0, 1],
      [0, -1],
    ] as const) {
      const next = pixel + dx + dy * width
      if (x + dx < 0 || x + dx >= width || y + dy < 0 || y + dy >= height) continue
      if (seen[next] === 1 || (data[next] ?? 0) < pixelThreshold) continue
      seen[next] = 1
      todo.push(next)
    }
  }
  return found
}
