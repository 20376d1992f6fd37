import type { Chain } from './chain.ts'

/** Who is told of a step on a key before it is sent. */
export class Followers {
  readonly #known = new Map<string, Set<() => void>>()

  /** Returns how to be told no longer. */
  add(step: string, key: string, onStep: () => void): () => void {
    const name = nameOf(step, key)
    const told = this.#known.get(name) ?? new Set()
    this.#known.set(name, told.add(onStep))
    return () => {
      told.delete(onStep)
      if (told.size === 0 && this.#known.get(name) === told) this.#known.delete(name)
    }
  }

  /** Calls each of them once, however often its step comes. */
  tell(chains: readonly Chain[]): void {
    if (this.#known.size === 0) return
    const steps = chains.flatMap((chain) => chain.steps)
    const names = new Set(steps.map(({ name, keys: [key = ''] }) => nameOf(name, key)))
    for (const name of names) this.#known.get(name)?.forEach((onStep) => onStep())
  }
}

function nameOf(step: string, key: string): string {
  return `${step} ${key}`
}
