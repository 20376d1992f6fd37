import { type FSWatcher, watch } from 'node:fs'
import { statfs } from 'node:fs/promises'

/** What a look at folders comes across. */
export interface FolderVisitor {
  /** Called before a folder is read. */
  folder(path: string): Promise<void>
  /** Called for a link: what it leads to lies elsewhere. */
  link(): void
}

/**
 * Knows whether folders have to be looked at again, because the kernel tells when something in them changes. An idle
 * consumer would else visit every file every two seconds.
 */
export interface ChangeHints {
  /** Whether nothing can have changed since the last look. */
  unchanged(): boolean
  /** Begins a look; what it visits is watched from then on, and nothing else. */
  begin(): FolderVisitor
  close(): void
}

/** File systems of Linux that only this machine writes to, by statfs: ext, XFS, Btrfs, tmpfs, overlay, ZFS, F2FS. */
const localTypes = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x2fc12fc1, 0xf2f52010])
/** After so long folders are looked at all the same. */
const longestMs = 30_000

/** `isLocal` is for tests. */
export function createChangeHints({ isLocal = isLocalFolder, now = () => performance.now() } = {}): ChangeHints {
  let watchers: FSWatcher[] = []
  let lookedAt = -Infinity
  /** Something has changed, or may change without our being told. */
  let open = true

  const note = (): void => {
    open = true
  }
  const close = (): void => {
    for (const watcher of watchers) watcher.close()
    watchers = []
  }

  return {
    unchanged: () => !open && now() - lookedAt < longestMs,
    begin() {
      // All anew: a folder that was replaced by another has the same name.
      close()
      lookedAt = now()
      open = false
      return {
        async folder(path) {
          if (!(await isLocal(path))) return note()
          try {
            watchers.push(watch(path, { persistent: false }, note).on('error', note))
          } catch {
            // It has gone, or the system watches as much as it may.
            note()
          }
        },
        link: note,
      }
    },
    close,
  }
}

async function isLocalFolder(path: string): Promise<boolean> {
  return process.platform === 'linux' && localTypes.has((await statfs(path).catch(() => null))?.type ?? 0)
}
