import { letHeapGrow } from './heap-growth.ts'
import { PlainError } from './plain-error.ts'

/** What runs in a process: an API, a consumer. */
export interface Part {
  /** Resolves once it serves. Where it rejects, the whole process ends. */
  start(): Promise<RunningPart>
  /** How long `close` may take, in milliseconds, before the process ends without it. */
  closeMs: number
}

export interface RunningPart {
  close(): Promise<void>
}

/** The parts of a process, and where to log what concerns all of them. */
export interface Program {
  parts: readonly Part[]
  log: { info(fields: object, message: string): void; error(fields: object, message: string): void }
}

/** What `close` of a part may overrun its time by. */
const graceMs = 2000

/**
 * The life of a process: `open` reads its settings, then its parts start side by side and serve until SIGTERM, SIGINT
 * or the end of the launcher that forked it. Then they close side by side, under one deadline: whichever of them needs
 * the longest has all of that time, as if it ran alone. Where one part can't start, the others are closed the same way
 * and the process exits 1. An error that nobody catches ends the process at once, with all parts.
 */
export async function runProcess(open: () => Program): Promise<never> {
  const asked = stopAsked()
  letHeapGrow()
  let program: Program
  try {
    program = open()
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`)
    process.exit(1)
  }
  const { parts, log } = program
  const started: RunningPart[] = []
  let ending = false
  const starting = parts.map(async ({ start }) => {
    const part = await start()
    if (ending) await part.close()
    else started.push(part)
  })
  let code = 0
  let reason: string
  try {
    // Starting may last until Redis answers.
    reason = await Promise.race([asked, Promise.all(starting).then(async () => await asked)])
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`)
    code = 1
    reason = 'it could not be started'
  }

  ending = true
  log.info({ reason }, 'Closing')
  const deadline = setTimeout(
    () => {
      log.error({}, 'Could not close in time')
      process.exit(1)
    },
    Math.max(...parts.map(({ closeMs }) => closeMs)) + graceMs,
  )
  const closed = await Promise.allSettled(started.map(async (part) => await part.close()))
  clearTimeout(deadline)
  for (const outcome of closed) {
    if (outcome.status === 'fulfilled') continue
    log.error({ err: outcome.reason }, 'Closing failed')
    code = 1
  }
  log.info({}, 'Closed')
  // ioredis would hold the process for two more seconds with a timer of its own.
  process.exit(code)
}

/** What the operator has to know; where it is nothing we foresaw, with its stack. */
function messageOf(error: unknown): string {
  if (error instanceof PlainError) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** Why the process is to end. */
async function stopAsked(): Promise<string> {
  return await new Promise((resolve) => {
    // Not once: a second signal must not end what is closing.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve(signal))
    process.once('disconnect', () => resolve('the launcher went away'))
  })
}
