import { type FileHandle, open } from 'node:fs/promises'

/**
 * Whether whole commands stand behind the first bytes, from `offset` on, that are none: then the damage is in the
 * middle of the file and no broken end, and to cut it off would lose them. `offset` is where the last thing ended
 * that Redis would keep; a transaction without its end begins there, whose commands may be whole.
 *
 * A command is `*2\r\n$3\r\nGET\r\n$1\r\na\r\n`: the number of its words, then each with its length in bytes.
 */
export async function wholeCommandsFollowDamage(path: string, offset: number): Promise<boolean> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    let damage = offset
    for (let end: number | null = damage; end !== null; end = await commandEnd(file, damage, size)) damage = end
    // The damaged command itself begins at `damage`.
    for (let from = damage + 1; from < size; from += chunkBytes) {
      const text = await read(file, from, chunkBytes + overlapBytes)
      for (const { index } of text.matchAll(/\*\d{1,7}\r\n\$\d{1,10}\r\n/g)) {
        if ((await commandEnd(file, from + index, size)) !== null) return true
      }
    }
    return false
  } finally {
    await file.close()
  }
}

const chunkBytes = 1024 * 1024
/** More than the longest head of a command, which may lie across two chunks. */
const overlapBytes = 64

/** Where the command that begins at `offset` ends; null if there is no whole one. */
async function commandEnd(file: FileHandle, offset: number, size: number): Promise<number | null> {
  const head = /^\*(\d{1,7})\r\n/.exec(await read(file, offset, overlapBytes))
  if (head === null) return null
  let end = offset + head[0].length
  for (let left = Number(head[1]); left > 0; left -= 1) {
    const word = /^\$(\d{1,10})\r\n/.exec(await read(file, end, overlapBytes))
    if (word === null) return null
    end += word[0].length + Number(word[1])
    if (end + 2 > size || (await read(file, end, 2)) !== '\r\n') return null
    end += 2
  }
  return end
}

async function read(file: FileHandle, offset: number, bytes: number): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, offset)
  return buffer.toString('latin1', 0, bytesRead)
}
