import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * A text that tells a process from a later one that got the same id: when it was started. Null where
 * no such process lives. In containers ids repeat at every start, so an id alone proves nothing.
 */
export async function processIdentity(pid: number): Promise<string | null> {
  return process.platform === 'linux' ? await fromProc(pid) : await fromPs(pid)
}

/** proc(5), /proc/pid/stat: field 3 is the state, field 22 the start in clock ticks since boot. */
async function fromProc(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  if (stat === null) return null
  // The name, field 2, is in brackets and may hold anything, brackets included.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state, startedAt] = [fields[0], fields[19]]
  return state === 'Z' || state === 'X' || startedAt === undefined ? null : startedAt
}

async function fromPs(pid: number): Promise<string | null> {
  const printed = await run('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => null)
  return printed === null || printed.stdout.trim() === '' ? null : printed.stdout.trim()
}
