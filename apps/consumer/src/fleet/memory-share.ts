import { totalmem } from 'node:os'

const sharedOut = 0.8

/**
 * The bytes that each of so many engines may hold: its part of four fifths of the machine's memory, or of the
 * container's where that is less. The rest is for this process and Redis.
 */
export function memoryShare(
  engines: number,
  { total = totalmem(), constrained = process.constrainedMemory() }: { total?: number; constrained?: number } = {},
): number {
  // 0 where there is no container, and a huge number where it has no limit.
  const there = constrained > 0 ? Math.min(total, constrained) : total
  return Math.floor((sharedOut * there) / engines)
}
