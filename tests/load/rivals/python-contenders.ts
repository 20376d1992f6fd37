import { availableParallelism } from 'node:os'

import { freePort } from '@vision-queue/local/free-port'
import { createLeash } from '@vision-queue/local/leash'
import { describeExit, type ProcessGroup, startProcessGroup } from '@vision-queue/local/process-group'
import { startTestRedis } from '@vision-queue/test-support/redis'
import { until } from '@vision-queue/test-support/until'

import type { Contender } from './contender.ts'
import { pythonFolder, type PythonPackages } from './python-packages.ts'

const stopDeadlineMs = 5000
const cores = availableParallelism()

/**
 * Celery behind FastAPI. One worker with a process per core, which is the prefork pool's default, and
 * without the chatter between workers that a single one needs none of. The rest of its settings stand in
 * celery_tasks.py, and how the API waits in http_api.py.
 */
export function celeryContender(packages: PythonPackages): Contender {
  return pythonContender({ ...celery, name: 'celery + fastapi', api: 'celery_api:api', packages })
}

/** RQ behind FastAPI: as many workers as cores, of the kind that doesn't fork for each job. */
export function rqContender(packages: PythonPackages): Contender {
  return pythonContender({ ...rq, name: 'rq + fastapi', workers: rqWorkers('rq.SimpleWorker'), packages })
}

/** The same workers, and an API that waits with AsyncResult.get() in FastAPI's threads, as tutorials do. */
export function plainCeleryContender(packages: PythonPackages): Contender {
  return pythonContender({ ...celery, name: 'celery + fastapi, plain', api: 'celery_plain_api:api', packages })
}

/** The same API, and RQ's default worker, which forks for every job: slower, and a crash kills that job alone. */
export function plainRqContender(packages: PythonPackages): Contender {
  return pythonContender({ ...rq, name: 'rq + fastapi, plain', workers: rqWorkers('rq.Worker'), packages })
}

const celeryWorker = ['-m', 'celery', '-A', 'celery_tasks', 'worker', '--pool', 'prefork', '-c', String(cores)]
const quiet = ['--without-gossip', '--without-mingle', '--without-heartbeat', '--loglevel', 'WARNING']
const celery = { library: 'celery', workers: [[...celeryWorker, ...quiet]] }
const rq = { library: 'rq', api: 'rq_api:api' }

function rqWorkers(workerClass: string): string[][] {
  return Array.from({ length: cores }, () => ['rq_worker.py', workerClass])
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
  const own = new Set(['python', library, 'fastapi', 'uvicorn', 'uvloop', 'redis-py', 'hiredis'])
  return {
    name,
    versions: Object.fromEntries(Object.entries(packages.versions).filter(([part]) => own.has(part))),
    async start() {
      const redis = await startTestRedis()
      const leash = createLeash({ deadlineMs: stopDeadlineMs })
      const groups: ProcessGroup[] = []
      const lines: string[] = []
      const launch = (args: readonly string[]): number => {
        const group = startProcessGroup(
          { file: packages.python, args, cwd: pythonFolder, env: { ...packages.env, REDIS_URL: redis.url } },
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
        // One API process, as we have one: a second made Celery's jobs dearer (3.3 against 2.6 ms of CPU) and
        // neither faster. uvicorn takes uvloop and httptools by itself; no line per request.
        const uvicorn = ['-m', 'uvicorn', api, '--port', String(port)]
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
