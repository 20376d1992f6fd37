import { z } from 'zod'

import { type HttpLoad, openHttpSubject } from './http-load.ts'
import { startServerProcess } from './server-process.ts'
import type { Subject } from './subject.ts'

export const echoName = 'echo'

/** E: a plain node:http server that reads the same bodies from the same clients. */
export async function openEcho(load: HttpLoad): Promise<Subject> {
  const server = await startServerProcess('echo-server.ts')
  const { port } = z.object({ port: z.int() }).parse(JSON.parse(server.line))
  const part = { part: 'echo', pid: server.pid }
  const subject = await openHttpSubject({ name: echoName, url: `http://127.0.0.1:${port}`, parts: () => [part] }, load)
  return {
    ...subject,
    brief: load.thinkMs === undefined,
    async stop() {
      await subject.stop()
      await server.stop()
    },
  }
}
