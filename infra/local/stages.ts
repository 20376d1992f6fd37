import type { Leash } from './leash.ts'
import { describeExit, type Command, type Exit } from './process-group.ts'
import { StartError } from './start-error.ts'
import { superviseProcess, type Backoff, type SupervisedProcess } from './supervised-process.ts'

/** In the order in which they are stopped: nobody takes jobs any more when Redis goes. */
const stageNames = ['api', 'consumers', 'redis'] as const
type Stage = (typeof stageNames)[number]

/** A process to start and to keep running. */
interface Supervision {
  stage: Stage
  /** Stands before each of its lines in the terminal. */
  name: string
  command: Command
  leash: Leash
  /** Called with the last lines of a process that ended by itself; resolves to whether it is worth another start. */
  cure?: (lastLines: readonly string[]) => Promise<boolean>
}

/** The processes of a start, by the stage in which they are stopped. */
export interface Stages {
  /** Starts a process and starts it again if it dies, see createLauncher. */
  supervise: (supervision: Supervision) => SupervisedProcess
  /** Whether any was started. */
  some: () => boolean
  /** Stops one stage after the other; resolves when all processes have ended. */
  stop: () => Promise<void>
  /** Kills them all at once. */
  kill: () => void
}

interface Options {
  backoff: Backoff
  stopDeadlineMs: number
  write: (line: string) => void
  say: (line: string) => void
  /** Whether a job could be served before: from then on every process that ends is started again. */
  progress: { readonly served: boolean }
  /** Ends the start, for this reason. */
  fail: (reason: unknown) => void
}

/** No process runs yet. */
export function createStages(options: Options): Stages {
  const { backoff, stopDeadlineMs, write, say, progress, fail } = options
  const stages: Record<Stage, SupervisedProcess[]> = { api: [], consumers: [], redis: [] }
  const all = (): SupervisedProcess[] => stageNames.flatMap((stage) => stages[stage])

  return {
    supervise({ stage, name, command, leash, cure }) {
      const quiet = stage === 'redis'
      let lastWords: string[] = []
      const hold = (): void => leash.hold(all().flatMap(({ pid }) => (pid === undefined ? [] : [pid])))
      const supervised = superviseProcess({
        name,
        command,
        // The apps stop when they lose us; Redis knows nothing of IPC.
        ipc: !quiet,
        backoff,
        stopDeadlineMs,
        say,
        onLine(line) {
          if (quiet) lastWords = [...lastWords.slice(-7), line]
          else write(`[${name}] ${line}`)
        },
        onChange: hold,
        async onExit(exit: Exit) {
          const lines = lastWords
          lastWords = []
          try {
            if (exit.kind === 'code' && (await cure?.(lines)) === true) return 'restart'
          } catch (error) {
            if (progress.served && error instanceof StartError) say(error.message)
            else fail(error)
            return progress.served ? 'restart' : 'leave'
          }
          for (const line of lines) write(`[${name}] ${line}`)
          if (progress.served || exit.kind === 'signal') return 'restart'
          fail(new StartError(`${name} ${describeExit(exit)} before it was ready. Its own lines above say why.`))
          return 'leave'
        },
      })
      stages[stage].push(supervised)
      // It was started before it was in the list.
      hold()
      return supervised
    },
    some: () => all().length > 0,
    async stop() {
      for (const stage of stageNames) await Promise.all(stages[stage].map(async (each) => await each.stop()))
    },
    kill() {
      for (const supervised of all()) supervised.kill()
    },
  }
}
