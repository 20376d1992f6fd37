import { copyFile, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { installTransformersJs, transformersJs } from '../../proofs/transformers-js.ts'
import type { Server } from './http-load.ts'
import { startServerProcess } from './server-process.ts'

const program = 'transformers-program.mjs'

/** Transformers.js behind a plain server, see transformers-program.mjs. */
export interface TransformersServer extends Server {
  stop(): Promise<void>
}

/** Installs it in `folder` and starts it with a model of a repository. Resolves to why it can't be had here. */
export async function startTransformers(
  folder: string,
  { folders, model, threads }: { folders: string; model: string; threads: number },
): Promise<TransformersServer | { reason: string }> {
  const place = await mkdtemp(join(folder, 'transformers-'))
  const reason = await installTransformersJs(place)
  if (reason !== null) return { reason }
  const { library, version } = transformersJs
  await copyFile(fileURLToPath(new URL(program, import.meta.url)), join(place, program))
  const options = JSON.stringify({ library, folders: `${folders}/`, model: `${model}/1`, threads })
  const { pid, line, stop } = await startServerProcess(join(place, program), [options])
  return {
    name: `Transformers.js ${version}`,
    url: `http://127.0.0.1:${line}`,
    parts: () => [{ part: 'Transformers.js', pid }],
    stop,
  }
}
