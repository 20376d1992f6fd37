import { spawn } from 'node:child_process'

/** Ends other processes when we die, however we die. */
export interface Leash {
  readonly pid: number | undefined
  /** The processes, each the head of its group, that have to end when we do, in the order in which to stop them. */
  hold(pids: readonly number[]): void
  /** Lets go of them all. Waits until the leash itself has ended. */
  close(): Promise<void>
}

/**
 * A shell that reads the ids from its standard input, and reads on until that closes: the kernel closes
 * it when we die, even by SIGKILL. Then it stops them in order: SIGTERM, and SIGKILL for the group after
 * the deadline ($1, in tenths of a second). In a container nobody may have buried a dead one: a zombie is dead.
 */
const script = `
lives() {
  kill -0 "$1" 2>/dev/null || return 1
  read -r stat 2>/dev/null </proc/$1/stat || return 0
  case $stat in *') Z '*) return 1 ;; esac
}
held=
while read -r line; do held=$line; done
for pid in $held; do
  left=$1
  kill -s TERM "$pid" 2>/dev/null || left=0
  while [ "$left" -gt 0 ] && lives "$pid"; do sleep 0.1; left=$((left - 1)); done
  kill -s KILL -- "-$pid" 2>/dev/null
done
`

export function createLeash({ deadlineMs }: { deadlineMs: number }): Leash {
  const shell = spawn('sh', ['-c', script, 'vision-queue-leash', String(Math.ceil(deadlineMs / 100))], {
    // Out of our process group, so that Ctrl-C does not end the leash before it has done its work.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  let gone = false
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      gone = true
      resolve()
    }
    shell.once('exit', end)
    shell.once('error', end)
  })
  // Someone may kill the leash; then nothing guards against our own death, and all else works.
  shell.stdin.on('error', () => undefined)

  return {
    pid: shell.pid,
    hold(pids) {
      if (!gone) shell.stdin.write(`${pids.join(' ')}\n`)
    },
    async close() {
      if (!gone) shell.stdin.end('\n')
      await ended
    },
  }
}
