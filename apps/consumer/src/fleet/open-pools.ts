import type { EnginePool } from '@vision-queue/engine-pool'

/** The engine pools behind the pools of `Actual`, by id. */
export interface OpenPools {
  add(id: number, pool: EnginePool): void
  get(id: number): EnginePool | undefined
  /** Stops the engines at once; jobs that they still have are handed back. */
  close(id: number): Promise<void>
  /** Lets running batches finish until the deadline, and hands the rest back. */
  closeAll(deadlineMs: number): Promise<void>
  /** Engine processes of all pools, of those that finish their last jobs too. */
  readonly engines: number
  /** CPU time of all engines so far, those of closed pools included. */
  cpuSeconds(): number
}

export function createOpenPools(): OpenPools {
  const pools = new Map<number, EnginePool>()
  let cpuSecondsOfClosed = 0
  return {
    add: (id, pool) => void pools.set(id, pool),
    get: (id) => pools.get(id),
    async close(id) {
      const pool = pools.get(id)
      await pool?.close({ deadlineMs: 0 })
      if (pool === undefined || !pools.delete(id)) return
      cpuSecondsOfClosed += pool.cpuSeconds()
    },
    async closeAll(deadlineMs) {
      await Promise.all([...pools.values()].map(async (pool) => pool.close({ deadlineMs })))
    },
    get engines() {
      return [...pools.values()].reduce((sum, { engines }) => sum + engines, 0)
    },
    cpuSeconds: () => [...pools.values()].reduce((sum, pool) => sum + pool.cpuSeconds(), cpuSecondsOfClosed),
  }
}
