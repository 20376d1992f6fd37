import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { type Load, measureLoad, type Measurement, warmUp } from './service.ts'

/** A naive model server that runs, see naive-server.ts. */
export interface NaiveServer {
  measure(load: Load): Promise<Measurement>
  stop(): Promise<void>
}

/** Starts one, warm. Its CPU time is told as the API's. */
export async function startNaiveServer(repository: string): Promise<NaiveServer> {
  const script = fileURLToPath(new URL('naive-server.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', script, repository], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  try {
    const url = `http://127.0.0.1:${await firstLine(child)}`
    const processes = (): { role: 'API'; pid: number }[] => [{ role: 'API', pid: child.pid ?? 0 }]
    const measure = async (load: Load): Promise<Measurement> => measureLoad({ url, load, processes })
    await warmUp(measure)
    return { measure, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) throw new Error('The naive server has no output')
  for await (const chunk of stdout) {
    stdout.resume()
    return String(chunk).trim()
  }
  throw new Error('The naive server ended before it listened')
}
