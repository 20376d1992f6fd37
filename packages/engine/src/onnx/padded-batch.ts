/** 1, 2, 4, ... and `maxBatchSize` itself. */
export function paddedSizes(maxBatchSize: number): number[] {
  const sizes: number[] = []
  for (let size = 1; size < maxBatchSize; size *= 2) sizes.push(size)
  return [...sizes, maxBatchSize]
}

/**
 * Fills batches up to the next of these sizes with copies of their last item, whose results are dropped.
 * For providers that prepare themselves for each size they meet (CUDA's search for the fastest
 * convolutions, TensorRT's engines), which takes seconds; on a CPU a row more is only work.
 */
export function padBatches<Item, Result>(
  run: (items: readonly Item[]) => Promise<Result[]>,
  sizes: readonly number[],
): (items: readonly Item[]) => Promise<Result[]> {
  return async (items) => {
    const last = items.at(-1)
    const size = sizes.find((candidate) => candidate >= items.length)
    if (last === undefined || size === undefined || size === items.length) return run(items)
    const copies = Array.from({ length: size - items.length }, () => last)
    return (await run([...items, ...copies])).slice(0, items.length)
  }
}
