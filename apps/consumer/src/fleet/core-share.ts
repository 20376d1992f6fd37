/** Engine processes of a loaded version, and the threads of each one's session. */
export interface CoreShare {
  engines: number
  intraOpThreads: number
}

/**
 * Shares the cores out: engines times threads is never above `cores`, which would cost several times the
 * speed. `engines` 0: as many as fill the part of the cores that a version has where `sharedBy` models
 * are there, at least one. Of a setting that asks for more than the cores, as many engines are left as
 * there are cores, and as many threads as each engine's cores.
 */
export function shareCores(wanted: CoreShare, { cores, sharedBy }: { cores: number; sharedBy: number }): CoreShare {
  if (wanted.engines === 0) {
    const intraOpThreads = Math.min(wanted.intraOpThreads, cores)
    return { engines: Math.max(1, Math.floor(Math.ceil(cores / sharedBy) / intraOpThreads)), intraOpThreads }
  }
  const engines = Math.min(wanted.engines, cores)
  return { engines, intraOpThreads: Math.min(wanted.intraOpThreads, Math.floor(cores / engines)) }
}
