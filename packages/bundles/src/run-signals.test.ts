import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'

import { bundlePath } from './bundle-file.cjs'

const runner = fileURLToPath(new URL('run.cjs', import.meta.url))

let folder: string
let bundles: string
/** A program that is loaded until the file `go` is there, and ends by itself a while later where nobody ends it. */
let slow: string
let go: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vision-queue-signals-'))
  bundles = join(folder, 'bundles')
  slow = join(folder, 'slow.ts')
  go = join(folder, 'go')
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  await writeFile(
    slow,
    [
      `import { existsSync } from 'node:fs'`,
      `process.stdout.write('loading\\n')`,
      `while (!existsSync(${JSON.stringify(go)})) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)`,
      `if (process.argv[2] === 'listens') process.on('SIGTERM', () => process.exit(7))`,
      `setTimeout(() => process.exit(9), 5000)`,
    ].join('\n'),
  )
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

/** What starts a program as the first process of its own, as in a container; null where that is not allowed. */
const asFirstProcess = ((): string[] | null => {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']
  const command = ['unshare', ...user, '--pid', '--fork', '--kill-child', '--']
  try {
    execFileSync(command[0] ?? '', [...command.slice(1), 'true'], { stdio: 'ignore' })
    return command
  } catch {
    process.stderr.write('SKIPPED: no process may be the first of its own here (unshare), so no test of one was run.\n')
    return null
  }
})()

function start(prefix: readonly string[], args: readonly string[]): ChildProcess {
  const [file = '', ...rest] = [...prefix, process.execPath, runner, slow, ...args]
  const env = { PATH: process.env['PATH'] ?? '', BUNDLES: bundles }
  const child = spawn(file, rest, { env, stdio: ['ignore', 'pipe', 'ignore'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** Sends SIGTERM to what `unshare` has started, as a container's runtime does from outside. */
function terminate(pid: number | undefined): void {
  const children = execFileSync('ps', ['--ppid', String(pid), '-o', 'pid='], { encoding: 'utf8' })
  for (const child of children.trim().split(/\s+/)) process.kill(Number(child), 'SIGTERM')
}

test.skipIf(asFirstProcess === null)(
  'the first process of a container hears a SIGTERM that came while its program was loaded',
  async () => {
    const container = start(asFirstProcess ?? [], ['listens'])
    await once(container.stdout ?? container, 'data')
    terminate(container.pid)
    await writeFile(go, '')
    expect(await once(container, 'exit')).toEqual([7, null])
  },
)

test.skipIf(asFirstProcess === null)(
  'the first process of a container ends on SIGTERM before its program is loaded, while another makes the bundle',
  async () => {
    await mkdir(bundles)
    // We make it, as far as the program can see, and never finish.
    await writeFile(`${bundlePath(bundles, slow)}.lock`, String(process.pid))
    const container = start(asFirstProcess ?? [], [])
    const exit = once(container, 'exit')
    while (container.exitCode === null && container.signalCode === null) {
      // Before Node has run a line nothing can hear it.
      try {
        terminate(container.pid)
      } catch {
        // It is not there yet, or has just ended.
      }
      await Promise.race([exit, delay(20)])
    }
    expect(await exit).toEqual([0, null])
  },
)
