/** The items of several iterables as they come, each with the index of its own. Ends when all have; rejects with the first that does. */
export async function* merged<T>(
  iterables: readonly AsyncIterable<T>[],
): AsyncGenerator<{ index: number; item: T }, void, undefined> {
  const iterators = iterables.map((iterable) => iterable[Symbol.asyncIterator]())
  const step = async (index: number): Promise<{ index: number; next: IteratorResult<T, unknown> }> => {
    const iterator = iterators[index]
    if (iterator === undefined) throw new Error('no such iterable')
    return { index, next: await iterator.next() }
  }
  const pending = new Map(iterators.map((_, index) => [index, step(index)]))
  while (pending.size > 0) {
    const { index, next } = await Promise.race(pending.values())
    if (next.done === true) {
      pending.delete(index)
      continue
    }
    yield { index, item: next.value }
    pending.set(index, step(index))
  }
}
