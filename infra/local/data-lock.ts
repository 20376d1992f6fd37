import { randomUUID } from 'node:crypto'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { z } from 'zod'

import { processIdentity } from './process-identity.ts'
import { StartError } from './start-error.ts'

const ownerSchema = z.object({
  pid: z.int(),
  /** See processIdentity. */
  identity: z.string(),
})
type Owner = z.infer<typeof ownerSchema>

/** What a claim's file holds. */
const claimSchema = z.object({
  launcher: ownerSchema,
  /** It outlives a killed launcher until Redis has let go of the folder. */
  leash: ownerSchema.nullable(),
})

interface LiveClaim {
  file: string
  launcherPid: number
  /** `ending`: the launcher was killed, and its leash still clears away what it had started. */
  state: 'held' | 'ending'
}

interface Options {
  /** The folder to guard; the claims lie in it. */
  folder: string
  leashPid: number | undefined
  /** Called once when a killed predecessor is still being cleared away, which is waited for. */
  onWait: () => void
  signal: AbortSignal
}

/**
 * Takes the folder for this process: two Redis servers that append to one file would ruin it.
 *
 * Everyone who wants the folder puts a claim with a name of its own into it and then looks around. Alone,
 * it has the folder; else it withdraws, waits for a random time and looks again. A claim that is still
 * there then is the holder's. Claims of the dead are removed: as no name is ever used twice, nobody can
 * remove a living one by mistake, which one common lock file would allow.
 *
 * Returns how to give the folder back. Throws StartError where another launcher holds it.
 */
export async function takeFolder(options: Options): Promise<{ release(): Promise<void> }> {
  const { folder, onWait, signal } = options
  let known: readonly string[] = []
  let waited = false
  for (;;) {
    const others = await liveClaims(folder)
    const holder = others.find(({ file, state }) => state === 'held' && known.includes(file))
    if (holder !== undefined) throw new StartError(inUse(holder.launcherPid))
    if (others.some(({ state }) => state === 'ending') && !waited) {
      waited = true
      onWait()
    }
    known = others.map(({ file }) => file)
    if (others.length === 0) {
      const own = await putClaim(options)
      const rivals = (await liveClaims(folder)).filter(({ file }) => file !== own)
      if (rivals.length === 0) return { release: async () => await removeClaim(folder, own) }
      await removeClaim(folder, own)
      known = rivals.map(({ file }) => file)
    }
    await delay(100 + Math.random() * 200, undefined, { signal })
  }
}

function inUse(pid: number): string {
  return (
    `vision-queue already runs here, as process ${pid}. ` +
    `Stop it with Ctrl-C in its terminal or "kill ${pid}", or start another one with a DATA_DIR and a PORT of its own.`
  )
}

/** The name of the new claim. It is renamed into place, so that nobody reads half of it. */
async function putClaim({ folder, leashPid }: Options): Promise<string> {
  const launcher = await ownerOf(process.pid)
  if (launcher === null) throw new Error('This process can not be found among the running ones.')
  const leash = leashPid === undefined ? null : await ownerOf(leashPid)
  const file = `launcher-${randomUUID()}.lock`
  await writeFile(join(folder, `${file}.new`), JSON.stringify({ launcher, leash }))
  await rename(join(folder, `${file}.new`), join(folder, file))
  return file
}

async function removeClaim(folder: string, file: string): Promise<void> {
  await rm(join(folder, file), { force: true })
}

/** Removes those of the dead, and what can't be read, such as an empty file after a power cut. */
async function liveClaims(folder: string): Promise<LiveClaim[]> {
  const files = (await readdir(folder)).filter((file) => /^launcher-.*\.lock$/.test(file))
  const claims = await Promise.all(files.map(async (file) => await liveClaim(folder, file)))
  return claims.filter((claim) => claim !== null)
}

async function liveClaim(folder: string, file: string): Promise<LiveClaim | null> {
  const claim = parseClaim(await readFile(join(folder, file), 'utf8').catch(() => ''))
  if (claim !== null && (await lives(claim.launcher))) return { file, launcherPid: claim.launcher.pid, state: 'held' }
  if (claim !== null && claim.leash !== null && (await lives(claim.leash))) {
    return { file, launcherPid: claim.launcher.pid, state: 'ending' }
  }
  await removeClaim(folder, file)
  return null
}

function parseClaim(text: string): z.infer<typeof claimSchema> | null {
  try {
    return claimSchema.parse(JSON.parse(text))
  } catch {
    return null
  }
}

async function ownerOf(pid: number): Promise<Owner | null> {
  const identity = await processIdentity(pid)
  return identity === null ? null : { pid, identity }
}

async function lives({ pid, identity }: Owner): Promise<boolean> {
  return (await processIdentity(pid)) === identity
}
