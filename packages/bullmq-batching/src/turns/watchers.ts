import type { Call } from './calls.ts'

/** Who wants to know before a call with a certain step is written. */
export class Watchers {
  readonly #listeners = new Map<string, Set<() => void>>()

  get size(): number {
    return this.#listeners.size
  }

  add(name: string, key: string, listener: () => void): () => void {
    const what = `${name} ${key}`
    const listeners = this.#listeners.get(what) ?? new Set()
    this.#listeners.set(what, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#listeners.get(what) === listeners) this.#listeners.delete(what)
    }
  }

  /** Calls each listener once, however often the calls have the step. */
  tell(calls: readonly Call[]): void {
    const told = new Set<() => void>()
    for (const step of calls.flatMap(({ steps }) => steps).flat()) {
      for (const listener of this.#listeners.get(`${step.name} ${step.keys[0]}`) ?? []) told.add(listener)
    }
    for (const listener of told) listener()
  }
}
