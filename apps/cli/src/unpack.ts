import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { list, extract } from 'tar'
import { type Entry, openPromise } from 'yauzl'

import { RefusalError } from './usage-error.ts'

/** The most files of an archive. */
const maxFiles = 10_000
const archive = /\.(tar\.gz|tgz|tar|zip)$/i

/** Whether a file is an archive that can be unpacked, by its name. */
export function isArchive(file: string): boolean {
  return archive.test(file)
}

/** A file's name without the end that makes it an archive. */
export function withoutArchiveEnd(file: string): string {
  return file.replace(archive, '')
}

/**
 * Unpacks an archive's files and folders into a folder; links and devices are left out. Throws RefusalError for a name
 * that leads out of the folder, for more bytes than `maxBytes` or files than 10,000, and for what is no archive.
 */
export async function unpack(file: string, into: string, maxBytes: number): Promise<void> {
  try {
    await (/\.zip$/i.test(file) ? unpackZip(file, into, maxBytes) : unpackTar(file, into, maxBytes))
  } catch (error) {
    if (error instanceof RefusalError) throw error
    throw new RefusalError(`${file} can not be unpacked: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Judges every entry before anything is written. */
async function unpackTar(file: string, into: string, maxBytes: number): Promise<void> {
  const count = createCount(file, maxBytes)
  let problem: RefusalError | null = null
  await list({
    file,
    strict: true,
    onReadEntry(entry) {
      try {
        placeIn(into, entry.path, file)
        count(entry.size)
      } catch (error) {
        problem ??= error instanceof RefusalError ? error : new RefusalError(String(error))
      }
    },
  })
  if (problem !== null) throw problem as RefusalError
  const kinds = new Set(['File', 'OldFile', 'ContiguousFile', 'Directory'])
  await extract({
    file,
    cwd: into,
    strict: true,
    preserveOwner: false,
    filter: (_, entry) => 'type' in entry && typeof entry.type === 'string' && kinds.has(entry.type),
  })
}

async function unpackZip(file: string, into: string, maxBytes: number): Promise<void> {
  const count = createCount(file, maxBytes)
  const zip = await openPromise(file, { lazyEntries: true, autoClose: false, strictFileNames: false })
  try {
    await new Promise<void>((done, fail) => {
      zip.on('end', done).on('error', fail)
      zip.on('entry', (entry: Entry) => {
        unpackEntry(entry).then(() => zip.readEntry(), fail)
      })
      zip.readEntry()
    })
  } finally {
    zip.close()
  }

  async function unpackEntry(entry: Entry): Promise<void> {
    const place = placeIn(into, entry.fileName, file)
    const mode = entry.externalFileAttributes >>> 16
    const isLink = (mode & 0o170000) === 0o120000
    if (entry.fileName.endsWith('/') || isLink) return
    // yauzl refuses a file that turns out larger than it says.
    count(entry.uncompressedSize)
    await mkdir(dirname(place), { recursive: true })
    const content: Readable = await zip.openReadStreamPromise(entry)
    await pipeline(content, createWriteStream(place, { mode: 0o644 }))
  }
}

/** Where an entry goes; throws where that is outside the folder. */
function placeIn(into: string, name: string, file: string): string {
  const place = resolve(into, name)
  const way = relative(into, place)
  if (name.startsWith('/') || name.includes('\\') || way === '..' || way.startsWith(`..${sep}`)) {
    throw new RefusalError(`${file} has an entry that leads out of it: ${JSON.stringify(name.slice(0, 100))}.`)
  }
  return join(into, way)
}

function createCount(file: string, maxBytes: number): (bytes: number) => void {
  let [files, total] = [0, 0]
  return (bytes) => {
    files += 1
    total += bytes
    if (files > maxFiles) throw new RefusalError(`${file} has more than ${maxFiles} files.`)
    if (total > maxBytes) {
      throw new RefusalError(`${file} unpacks to more than ${maxBytes} bytes (MODELS_ADD_MAX_BYTES).`)
    }
  }
}
