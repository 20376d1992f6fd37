import { availableParallelism } from 'node:os'

import { freePort } from '@vision-queue/local/free-port'
import { createLeash } from '@vision-queue/local/leash'
import { describeExit, type ProcessGroup, startProcessGroup } from '@vision-queue/local/process-group'
import { startTestRedis } from '@vision-queue/test-support/redis'
import { until } from '@vision-queue/test-support/system'

import type { Contender } from './contender.ts'
import { python, pythonFolder, type PythonPackages } from './python-packages.ts'

const stopDeadlineMs = 5000
const cores = availableParallelism()

/**
 * Celery behind FastAPI. One worker with a process per core, which is the prefork pool's default, and
 * without the chatter between workers that a single one needs none of. The program's own settings stand
 * in celery_tasks.py.
 */
export function celeryContender(packages: PythonPackages): Contender {
  const quiet = ['--without-gossip', '--without-mingle', '--without-heartbeat', '--loglevel', 'WARNING']
  const worker = ['-m', 'celery', '-A', 'celery_tasks', 'worker', '--pool', 'prefork', '-c', String(cores), ...quiet]
  return pythonContender({
    name: 'celery + fastapi',
    library: 'celery',
    packages,
    api: 'celery_api:api',
    workers: [worker],
  })
}

/** RQ behind FastAPI: as many workers as cores, of the kind that doesn't fork for each job (rq_worker.py). */
export function rqContender(packages: PythonPackages): Contender {
  const workers = Array.from({ length: cores }, () => ['rq_worker.py'])
  return pythonContender({ name: 'rq + fastapi', library: 'rq', packages, api: 'rq_api:api', workers })
}

interface Options {
  name: string
  library: string
  packages: PythonPackages
  /** uvicorn's `module:application`. */
  api: string
  /** Python's arguments, per process. */
  workers: readonly (readonly string[])[]
}

function pythonContender({ name, library, packages, api, workers }: Options): Contender {
  const own = ['python', library, 'fastapi', 'uvicorn', 'uvloop', 'redis-py', 'hiredis']
  return {
    name,
    versions: Object.fromEntries(Object.entries(packages.versions).filter(([part]) => own.includes(part))),
    async start() {
      const redis = await startTestRedis()
      const leash = createLeash({ deadlineMs: stopDeadlineMs })
      const groups: ProcessGroup[] = []
      const lines: string[] = []
      const launch = (args: readonly string[]): number => {
        const group = startProcessGroup(
          { file: python, args, cwd: pythonFolder, env: { ...packages.env, REDIS_URL: redis.url } },
          { onLine: (line) => void lines.splice(0, lines.length, ...lines.slice(-30), line) },
        )
        groups.push(group)
        void group.exited.then((exit) => lines.push(`${args.join(' ')} ${describeExit(exit)}`))
        leash.hold(groups.flatMap(({ pid }) => pid ?? []))
        return group.pid ?? 0
      }
      const stop = async (): Promise<void> => {
        await Promise.all(groups.map(async (group) => group.stop(stopDeadlineMs)))
        await leash.close()
        await redis.stop()
      }
      try {
        const port = await freePort()
        const workerPids = workers.map(launch)
        // uvicorn takes uvloop and httptools by itself; no line per request.
        const uvicorn = ['-m', 'uvicorn', api, '--port', String(port), '--workers', String(apiProcesses)]
        const apiPid = launch([...uvicorn, '--no-access-log', '--log-level', 'warning'])
        const url = `http://127.0.0.1:${port}`
        const said = (): string => lines.join('\n')
        await until(async () => (await fetch(`${url}/health`).catch(() => null))?.ok === true, `${name} answers`, said)
        return { submitUrl: `${url}/jobs`, pids: { api: [apiPid], redis: [redis.pid], workers: workerPids }, stop }
      } catch (error) {
        await stop()
        throw error
      }
    },
  }
}

const apiProcesses = Number(process.env['TRY_API'] ?? 1)
