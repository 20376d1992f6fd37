import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

import { z } from 'zod'

import { processIdentity } from './process-identity.ts'
import { StartError } from './start-error.ts'

const ownerSchema = z.object({
  pid: z.int(),
  /** See processIdentity. */
  identity: z.string(),
})

const lockSchema = z.object({
  launcher: ownerSchema,
  /** It outlives a killed launcher until Redis has let go of the folder. */
  leash: ownerSchema.nullable(),
})
type Lock = z.infer<typeof lockSchema>

interface Options {
  /** The lock file, in the folder that it guards. */
  path: string
  leashPid: number | undefined
  /** Called once when a killed predecessor is still being cleared away, which is waited for. */
  onWait: () => void
  signal: AbortSignal
}

/**
 * Takes the folder for this process: two Redis servers that append to one file would ruin it.
 * A lock whose owner is dead is taken over. Returns how to give the folder back.
 * Throws StartError where a launcher lives that holds it.
 */
export async function takeFolder({ path, leashPid, onWait, signal }: Options): Promise<{ release(): Promise<void> }> {
  const launcher = await ownerOf(process.pid)
  if (launcher === null) throw new Error('This process can not be found among the running ones.')
  const mine: Lock = { launcher, leash: leashPid === undefined ? null : await ownerOf(leashPid) }
  const text = JSON.stringify(mine)

  let waited = false
  for (;;) {
    if (await createFile(path, text)) return { release: async () => await rm(path, { force: true }) }
    const found = await readFile(path, 'utf8').catch(() => '')
    const lock = parseLock(found)
    if (lock !== null && (await lives(lock.launcher))) throw new StartError(inUse(lock.launcher.pid))
    if (lock !== null && lock.leash !== null && (await lives(lock.leash))) {
      if (!waited) onWait()
      waited = true
      await delay(100, undefined, { signal })
    } else {
      await removeStale(path, found)
    }
  }
}

async function ownerOf(pid: number): Promise<Lock['launcher'] | null> {
  const identity = await processIdentity(pid)
  return identity === null ? null : { pid, identity }
}

async function lives({ pid, identity }: Lock['launcher']): Promise<boolean> {
  return (await processIdentity(pid)) === identity
}

function inUse(pid: number): string {
  return (
    `vision-queue already runs here, as process ${pid}. ` +
    `Stop it with Ctrl-C in its terminal or "kill ${pid}", or start another one with a DATA_DIR and a PORT of its own.`
  )
}

/** Null for what no launcher wrote to its end, such as an empty file after a power cut. */
function parseLock(text: string): Lock | null {
  try {
    return lockSchema.parse(JSON.parse(text))
  } catch {
    return null
  }
}

async function createFile(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'wx' })
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

/** Moved away first and looked at again: between reading and removing, another start may have taken it over. */
async function removeStale(path: string, expected: string): Promise<void> {
  const aside = `${path}.${process.pid}`
  try {
    await rename(path, aside)
  } catch {
    return
  }
  const moved = await readFile(aside, 'utf8')
  if (moved === expected) await rm(aside)
  else await rename(aside, path)
}
