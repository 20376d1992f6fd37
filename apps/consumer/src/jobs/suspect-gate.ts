import type { Disposition } from '@vision-queue/queue/worker'

/**
 * Lets one suspect run at a time. A job whose consumers died again and again while holding it may be
 * the one that kills them: were several held together, its neighbours would share its fate and its blame
 * each time. The others go back to the queue meanwhile, so that they are not in flight when it strikes.
 */
export interface SuspectGate {
  enter(run: () => Promise<Disposition>): Promise<Disposition>
}

/** Spread, so that of many who wait one comes soon after the gate is free. */
function comeBackMs(): number {
  return 20 + Math.floor(Math.random() * 480)
}

export function createSuspectGate(): SuspectGate {
  let occupied = false
  return {
    async enter(run) {
      if (occupied) return { kind: 'delay', delayMs: comeBackMs() }
      occupied = true
      try {
        return await run()
      } finally {
        occupied = false
      }
    },
  }
}
