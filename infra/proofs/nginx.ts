import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { freePort } from '@vision-queue/local/free-port'
import { until } from '@vision-queue/test-support/until'

import { findProgram, need, root, run } from './commands.ts'

export interface RunningNginx {
  url: string
  stop(): Promise<void>
}

/**
 * The balancer of infra/nginx/nginx.conf with other addresses: in front of `servers`, whose values are weights, on a
 * free port and with its files in a folder of its own. Rejects with Skipped where there is no nginx.
 */
export async function startNginx(servers: Record<string, number>): Promise<RunningNginx> {
  await need('nginx')
  const folder = await mkdtemp(join(tmpdir(), 'vision-queue-nginx-'))
  try {
    return await startIn(folder, servers)
  } catch (error) {
    await rm(folder, { recursive: true })
    throw error
  }
}

async function startIn(folder: string, servers: Record<string, number>): Promise<RunningNginx> {
  const program = (await findProgram('nginx')) ?? 'nginx'
  // As root it hands its work to a user without rights, who keeps large bodies in it.
  await chmod(folder, 0o711)
  const port = await freePort()
  await writeFile(join(folder, 'upstreams.conf'), upstreams(await shipped('upstreams.conf'), servers))
  const config = (await shipped('nginx.conf'))
    .replace('listen 8080;', `listen 127.0.0.1:${port};`)
    .replaceAll('/tmp/nginx', `${folder}/nginx`)
    .replace('access_log /dev/stdout json;', `access_log ${folder}/access.log json;`)
  await writeFile(join(folder, 'nginx.conf'), config)
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')]
  await run(program, [...args, '-t'])
  const nginx = spawn(program, [...args, '-g', 'daemon off;'], { stdio: ['ignore', 'ignore', 'inherit'] })
  const url = `http://127.0.0.1:${port}`
  try {
    // Any answer will do: its servers need not be there yet.
    await until(async () => (await fetch(`${url}/health/live`).catch(() => null)) !== null, 'nginx answers')
  } catch (error) {
    nginx.kill('SIGTERM')
    throw error
  }
  return { url, stop: async () => await stop(nginx, folder) }
}

async function stop(nginx: ChildProcess, folder: string): Promise<void> {
  const ended = nginx.exitCode === null ? once(nginx, 'exit') : undefined
  nginx.kill('SIGTERM')
  await ended
  await rm(folder, { recursive: true })
}

async function shipped(name: string): Promise<string> {
  return await readFile(join(root, 'infra/nginx', name), 'utf8')
}

/** The shipped file with other servers, each twice as there: with its weight, and as a backup. */
function upstreams(text: string, servers: Record<string, number>): string {
  const [first] = text.match(/^ *server \S+ weight=.*;$/m) ?? []
  const [backup] = text.match(/^ *server \S+ backup.*;$/m) ?? []
  if (first === undefined || backup === undefined) throw new Error('upstreams.conf has other servers than expected.')
  const lines = Object.entries(servers).flatMap(([address, weight]) => [
    first.replace(/server \S+/, `server ${address}`).replace(/weight=\d+/, `weight=${weight}`),
    backup.replace(/server \S+/, `server ${address}`),
  ])
  const others = text.split('\n').filter((each) => !/^ *server /.test(each))
  return others.join('\n').replace(/^ *keepalive /m, (found) => `${lines.join('\n')}\n${found}`)
}
