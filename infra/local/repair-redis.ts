import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access, copyFile, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import { wholeCommandsFollowDamage } from './append-only-commands.ts'
import { type AppendOnlyFiles, readAppendOnlyFiles, startEmptyAdvice } from './append-only-files.ts'
import type { RedisServer } from './find-redis.ts'
import { readLoadFailure } from './redis-last-words.ts'
import { checkCommand } from './redis-server.ts'
import { shellWord } from './shell-word.ts'
import { StartError } from './start-error.ts'

interface Options {
  server: RedisServer
  /** Redis' own data folder. */
  folder: string
  env: Record<string, string | undefined>
  /** A line for the person at the terminal. */
  say: (line: string) => void
}

/** What redis-check-aof says of one file. `validBytes` from its start on are whole. */
interface Damage {
  name: string
  bytes: number
  validBytes: number
}

/**
 * Call this with the last lines of a Redis that ended. Returns true if it could not load its data and can now, because
 * a broken end was cut off. Throws StartError, with what to do, if the cause is known and nothing can be done here.
 */
export async function cureLoadFailure(options: Options, lastLines: readonly string[]): Promise<boolean> {
  const failure = readLoadFailure(lastLines, options)
  if (failure === null) return false
  if (failure.kind === 'sentence') throw new StartError(failure.text)
  return await repairBrokenEnd(options)
}

/**
 * Call this when Redis could not load its append-only file. A broken end, as a power cut leaves one, is cut off by
 * the server's own redis-check-aof, after a copy of the whole file was put beside the folder; `say` tells how much was
 * cut and where the copy is. Returns false if that tool finds nothing to cut. Throws StartError, with the command
 * that would go on all the same, if whole commands would be lost or something is missing; then nothing was changed.
 */
export async function repairBrokenEnd({ server, folder, env, say }: Options): Promise<boolean> {
  const files = await readAppendOnlyFiles(folder)
  if (files === null) return false
  const check = async (fix: boolean): Promise<string> => await runCheck({ server, folder, env }, files, fix)
  const damage = findDamage(await check(false))
  if (damage === null) return false
  const path = join(files.folder, damage.name)
  const cutBytes = damage.bytes - damage.validBytes
  const where = `${path} is damaged after byte ${damage.validBytes} of ${damage.bytes}`
  if (damage.name !== files.names.at(-1)) {
    throw new StartError(
      `${where}, and Redis has written another file after it, so what is behind the damage can not be cut off. ` +
        `Nothing was changed; put the file back from a copy if there is one. ${startEmptyAdvice(folder)}`,
    )
  }
  const byHand = await commandByHand({ server, folder }, files)
  if (await wholeCommandsFollowDamage(path, damage.validBytes)) {
    throw new StartError(
      `${where}, in its middle: what follows is whole in part, and would be lost. Nothing was changed; put the file ` +
        `back from a copy if there is one. To lose the last ${cutBytes} bytes and go on with what is before: ${byHand}`,
    )
  }
  const copy = join(folder, `${damage.name}.damaged-${new Date().toISOString().replaceAll(':', '')}`)
  try {
    await copyFile(path, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new StartError(`${where}. It could not be copied (${why}), so nothing was changed. By hand: ${byHand}`)
  }
  await check(true)
  if ((await stat(path)).size !== damage.validBytes) {
    throw new StartError(`${where}, and redis-check-aof did not cut it off. A copy is ${copy}. By hand: ${byHand}`)
  }
  say(
    `The end of Redis' append-only file was broken, as after a power cut: ${cutBytes} of ${damage.bytes} bytes held ` +
      `no whole command and were cut off. The file as it was: ${copy}`,
  )
  return true
}

/** `AOF analyzed: filename=appendonly.aof.1.incr.aof, size=7657, ok_up_to=3561, ok_up_to_line=720, diff=4096` */
function findDamage(output: string): Damage | null {
  for (const { groups } of output.matchAll(
    /^AOF analyzed: filename=(?<name>.+), size=(?<size>\d+), ok_up_to=(?<valid>\d+), .*diff=(?<cut>\d+)/gm,
  )) {
    const damage = {
      name: groups?.['name'] ?? '',
      bytes: Number(groups?.['size']),
      validBytes: Number(groups?.['valid']),
    }
    if (damage.bytes > damage.validBytes) return { ...damage, name: basename(damage.name) }
  }
  return null
}

async function runCheck(
  { server, folder, env }: Omit<Options, 'say'>,
  files: AppendOnlyFiles,
  fix: boolean,
): Promise<string> {
  const manifest = files.manifest.slice(folder.length + 1)
  const { file, args, argv0, cwd, env: checkEnv } = checkCommand({ server, folder, manifest, fix, env })
  const child = spawn(file, args, { argv0, cwd, env: checkEnv, stdio: ['pipe', 'pipe', 'ignore'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += String(text)
  })
  // It asks before it cuts. What it has no question for it does not read.
  child.stdin.on('error', () => undefined)
  child.stdin.end('y\n')
  await new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', () => resolve())
  })
  return output
}

/** The lines to paste that keep a copy and cut off what is behind the damage. */
async function commandByHand(
  { server, folder }: Pick<Options, 'server' | 'folder'>,
  files: AppendOnlyFiles,
): Promise<string> {
  const copy = `cp -r ${shellWord(folder)} ${shellWord(`${folder}.copy`)}`
  if (server.kind === 'docker') {
    const inside = `valkey-check-aof --fix /data/${basename(files.folder)}/${basename(files.manifest)}`
    return `${copy} && docker run --rm -it --volume ${shellWord(`${folder}:/data`)} ${server.image} ${inside}`
  }
  const libraries = server.libraryPath === null ? '' : `LD_LIBRARY_PATH=${shellWord(server.libraryPath)} `
  const names = [basename(server.path).replace('-server', '-check-aof'), 'valkey-check-aof', 'redis-check-aof']
  const beside = names.map((name) => join(dirname(server.path), name))
  const found = await Promise.all(
    beside.map(async (path) =>
      access(path, constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  )
  const tool = beside.find((_, index) => found[index]) ?? 'redis-check-aof'
  return `${copy} && ${libraries}${shellWord(tool)} --fix ${shellWord(files.manifest)}`
}
