import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A server in a process of its own that prints one line once it listens. */
export interface ServerProcess {
  pid: number
  /** That line. */
  line: string
  stop(): Promise<void>
}

/** Starts a script of this folder, or one at an absolute path. Rejects where it ends before it has printed a line. */
export async function startServerProcess(script: string, args: readonly string[] = []): Promise<ServerProcess> {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const { stdout } = child
  if (stdout === null) throw new Error(`${script} has no output`)
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  const ended = once(child, 'exit').then(() => {
    throw new Error(`${script} ended before it listened, see above`)
  })
  const [line] = await Promise.race([once(createInterface({ input: stdout }), 'line'), ended])
  ended.catch(() => {})
  return { pid: child.pid ?? 0, line: String(line), stop }
}
