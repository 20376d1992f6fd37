/** What one check has found. `fail`: with it, jobs are not served, or accepted jobs can be lost. */
export interface Finding {
  level: 'ok' | 'warn' | 'fail'
  /** What was looked at, in a word or two. */
  about: string
  /** What was found and, where it isn't well, what to do. No secrets. */
  told: string
}

export function ok(about: string, told: string): Finding {
  return { level: 'ok', about, told }
}

export function warn(about: string, told: string): Finding {
  return { level: 'warn', about, told }
}

export function fail(about: string, told: string): Finding {
  return { level: 'fail', about, told }
}

/** Bytes for people. */
export function inMegabytes(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2).toLocaleString('en')} MB`
}
