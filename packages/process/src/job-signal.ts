/** The part of an AbortSignal that those who run jobs need. Every AbortSignal is one. */
export interface JobSignal {
  readonly aborted: boolean
  readonly reason: unknown
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** What an AbortController is, for a signal that is made for every job and hardly ever fires: at a tenth of its cost. */
export interface JobController {
  readonly signal: JobSignal
  /** Without effect after the first time. */
  abort(reason?: unknown): void
}

/** A signal that has not fired. */
export function createJobController(): JobController {
  let fired: { reason: unknown } | null = null
  const listeners = new Set<() => void>()
  return {
    signal: {
      get aborted() {
        return fired !== null
      },
      get reason() {
        return fired?.reason
      },
      // As with an AbortSignal, who comes too late is not told.
      addEventListener: (_type, listener) => void listeners.add(listener),
      removeEventListener: (_type, listener) => void listeners.delete(listener),
    },
    abort(reason = new DOMException('This operation was aborted', 'AbortError')) {
      if (fired !== null) return
      fired = { reason }
      for (const listener of listeners) listener()
      listeners.clear()
    },
  }
}
