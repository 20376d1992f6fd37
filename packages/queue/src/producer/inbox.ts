/** What was heard and not read yet, in order, for one reader. */
export interface Inbox<Item> {
  push(item: Item): void
  /** Nothing more is given, not even what was not read yet. */
  end(): void
  /** The next item, once there is one; null after the end. */
  next(): Promise<Item | null>
}

export function createInbox<Item>(): Inbox<Item> {
  const items: Item[] = []
  let ended = false
  let wake = (): void => {}
  return {
    push(item) {
      items.push(item)
      wake()
    },
    end() {
      ended = true
      wake()
    },
    async next() {
      if (items.length === 0 && !ended) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return ended ? null : (items.shift() ?? null)
    },
  }
}
