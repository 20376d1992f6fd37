import type { Server } from './http-load.ts'
import { startServerProcess } from './server-process.ts'

/** Transformers.js behind a plain server (transformers-program.mjs), with the model of a repository. */
export async function startTransformers(options: {
  folders: string
  model: string
  threads: number
}): Promise<Server & { stop(): Promise<void> }> {
  const { pid, line, stop } = await startServerProcess('transformers-program.mjs', [JSON.stringify(options)])
  return {
    name: 'Transformers.js',
    url: `http://127.0.0.1:${line}`,
    parts: () => [{ part: 'Transformers.js', pid }],
    stop,
  }
}
