/** Bounds the bytes of what is under way at a time; who comes first is let in first. */
export interface ByteTurns {
  /** Does the work once there is room for its bytes. What is larger than the bound is done alone. */
  run<T>(bytes: number, work: () => Promise<T>): Promise<T>
}

/** Nothing is under way. If one fails, those who wait are not let in but fail with the same error. */
export function createByteTurns(mostBytes: number): ByteTurns {
  let underWay = 0
  let waiting: { bytes: number; enter: () => void; refuse: (error: unknown) => void }[] = []

  const fits = (bytes: number): boolean => underWay === 0 || underWay + bytes <= mostBytes

  function letIn(): void {
    for (let next = waiting[0]; next !== undefined && fits(next.bytes); next = waiting[0]) {
      waiting.shift()
      underWay += next.bytes
      next.enter()
    }
  }

  return {
    async run(bytes, work) {
      if (waiting.length === 0 && fits(bytes)) underWay += bytes
      else {
        await new Promise<void>((enter, refuse) => {
          waiting.push({ bytes, enter, refuse })
        })
      }
      try {
        return await work()
      } catch (error) {
        const refused = waiting
        waiting = []
        for (const { refuse } of refused) refuse(error)
        throw error
      } finally {
        underWay -= bytes
        letIn()
      }
    },
  }
}
