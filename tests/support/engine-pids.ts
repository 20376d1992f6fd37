import { readdirSync, readFileSync } from 'node:fs'

/** The engine processes of a consumer, from Linux' /proc; the TypeScript loader has a child of its own there. */
export function enginesOf(consumerPid: number): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      const parent = read(`/proc/${pid}/stat`).replace(/^.*\) \S+ /s, '')
      return parent.startsWith(`${consumerPid} `) && /engine[a-z-]*\.ts|^engine /.test(read(`/proc/${pid}/cmdline`))
    })
    .map(Number)
}

/** Empty where the process has gone meanwhile. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
