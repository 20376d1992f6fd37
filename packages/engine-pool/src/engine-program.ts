import { createRequire } from 'node:module'

/** The file of a program that runs in a process of its own, of the engine's package. Nothing of it is loaded here. */
export function engineProgram(name: 'process' | 'provider-probe'): string {
  return createRequire(import.meta.url).resolve(`@vision-queue/engine/${name}`)
}
