import { cpuSeconds, readMachine } from '../processes.ts'
import type { Look } from './window.ts'

/** Reads the machine and the CPU time of these processes, one after the other within a few milliseconds. */
export function lookAt(pids: readonly number[]): Look {
  const cpu = new Map(pids.map((pid) => [pid, cpuSeconds(pid)]))
  return { cpu, ...readMachine(), atMs: performance.now() }
}
