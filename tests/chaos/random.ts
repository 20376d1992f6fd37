/** A seeded source of chance (mulberry32), so that a run can be repeated. */
export interface Chance {
  /** From 0 up to 1, which it never is. */
  next(): number
  /** One of them, or undefined where there are none. */
  pick<T>(from: readonly T[]): T | undefined
  /** A name by its weight. */
  weighted<Name extends string>(weights: Partial<Record<Name, number>>): Name
}

export function createChance(seed: number): Chance {
  let state = seed
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    next,
    pick: (from) => from[Math.floor(next() * from.length)],
    weighted<Name extends string>(weights: Partial<Record<Name, number>>) {
      const names = Object.keys(weights).filter((name): name is Name => name in weights)
      let left = next() * names.reduce((sum, name) => sum + (weights[name] ?? 0), 0)
      for (const name of names) {
        left -= weights[name] ?? 0
        if (left < 0) return name
      }
      throw new Error('No weights')
    },
  }
}
