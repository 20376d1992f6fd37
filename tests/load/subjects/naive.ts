import type { Server } from './http-load.ts'
import { type ServerProcess, startServerProcess } from './server-process.ts'

export const naiveName = 'naive server'

/** A naive model server that runs, see naive-server.ts. */
export interface NaiveServer extends Server {
  stop: ServerProcess['stop']
}

/** Starts one with the shapes-vqa of a repository. */
export async function startNaive(repository: string): Promise<NaiveServer> {
  const { pid, line, stop } = await startServerProcess('naive-server.ts', [repository])
  return { name: naiveName, url: `http://127.0.0.1:${line}`, parts: () => [{ part: 'naive server', pid }], stop }
}
