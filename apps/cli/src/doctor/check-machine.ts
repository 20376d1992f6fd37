import { once } from 'node:events'
import { statfs } from 'node:fs/promises'
import { createServer } from 'node:net'

import { describeMisspelt, listenError, misspeltSettings, PlainError, type SettingsSchema } from '@vision-queue/process'

import { fail, type Finding, inMegabytes, ok, warn } from './finding.ts'

/** As in package.json. */
const oldestNode = [20, 19] as const
const lowDiskBytes = 1024 ** 3

export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isOld = major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1])
  return isOld ? fail('Node', `${version} is too old: ${oldestNode.join('.')} or newer`) : ok('Node', version)
}

/** Of variables that look like settings, the ones that nobody reads. */
export function checkSettings(schemas: readonly SettingsSchema[], env: Record<string, string | undefined>): Finding[] {
  const misspelt = misspeltSettings(schemas, env)
  if (misspelt.length === 0) return [ok('Settings', 'no variable looks like a misspelt one')]
  return misspelt.map((each) => warn('Settings', describeMisspelt(each)))
}

/** Where the API is to listen: free, or taken by one that runs, which is no fault. */
export async function checkPort(host: string, port: number): Promise<Finding> {
  const server = createServer()
  try {
    server.listen(port, host)
    await once(server, 'listening')
    server.close()
    return ok('Port', `${port} on ${host} is free`)
  } catch (error) {
    if (await isApi(host, port)) return ok('Port', `${port} on ${host} is the running API's`)
    const known =
      error instanceof Error ? listenError(error, { host, port, names: { host: 'HOST', port: 'PORT' } }) : error
    return fail('Port', known instanceof PlainError ? known.message : String(known))
  }
}

async function isApi(host: string, port: number): Promise<boolean> {
  try {
    const address = ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host
    const url = `http://${address.includes(':') ? `[${address}]` : address}:${port}/health`
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) })
    const body: unknown = await response.json()
    return response.ok && JSON.stringify(body) === '{"status":"ok"}'
  } catch {
    return false
  }
}

/** How much is free where the folder is. */
export async function checkDisk(about: string, folder: string): Promise<Finding> {
  try {
    const { bavail, bsize } = await statfs(folder)
    const free = bavail * bsize
    const told = `${inMegabytes(free)} free at ${folder}`
    return free < lowDiskBytes ? warn(about, `${told}: make room`) : ok(about, told)
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    return warn(about, `${folder} can not be looked at (${why})`)
  }
}
