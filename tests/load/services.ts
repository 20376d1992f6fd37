import { type EngineKind, startVariant, type Variant } from './compositions.ts'
import type { Service } from './service.ts'
import { type HttpLoad, openHttpSubject } from './subjects/http-load.ts'
import type { Subject } from './subjects/subject.ts'
import { warmUp } from './windows/measure.ts'

/** A kind of service: what its engines do, and which settings differ from the usual ones. */
export interface ServiceKind {
  engine: EngineKind
  env?: Record<string, string>
}

/** The services of a run: every composition of this tree and of the revision that it is held against. */
export interface Services {
  /** All of them, of one kind. Those of another kind are ended first: idle ones cost CPU, too. */
  open(kind: ServiceKind): Promise<readonly Service[]>
  /**
   * All of them under a load, each warm after `warmUpJobs` jobs from many clients. Where an earlier scenario has
   * warmed the service already, only the new clients are warmed, by a few jobs.
   */
  subjects(kind: ServiceKind, load: HttpLoad, warmUpJobs: number): Promise<Subject[]>
  close(): Promise<void>
}

/** Starts services when a scenario asks for them, and keeps them for the next one that asks for the same kind. */
export function createServices(variants: readonly Variant[]): Services {
  let open = ''
  let running: Service[] = []
  const warm = new Set<Service>()
  const close = async (): Promise<void> => {
    const ending = running
    running = []
    open = ''
    await Promise.all(ending.map(async ({ stop }) => stop()))
  }
  const openKind: Services['open'] = async (kind) => {
    const wanted = JSON.stringify(kind)
    if (open === wanted) return running
    await close()
    for (const variant of variants) running.push(await startVariant(variant, kind.engine, kind.env))
    open = wanted
    return running
  }
  return {
    open: openKind,
    close,
    async subjects(kind, load, warmUpJobs) {
      const subjects: Subject[] = []
      try {
        for (const service of await openKind(kind)) {
          if (!warm.has(service)) await warmService(service, load, warmUpJobs)
          warm.add(service)
          const subject = await openHttpSubject(service, load)
          subjects.push(subject)
          await warmUp(subject, clientJobs(load))
        }
        return subjects
      } catch (error) {
        await stopAll(subjects)
        throw error
      }
    },
  }
}

/** What a new process of clients needs on a service that is warm: few where few ask. */
function clientJobs({ clients = 64, thinkMs = null }: HttpLoad): number {
  return thinkMs === null ? Math.min(500, 8 * clients) : 4 * clients
}

/** By many clients at once, whatever the load: at the pace of a few it would take minutes. */
async function warmService(service: Service, load: HttpLoad, jobs: number): Promise<void> {
  const { requests, holds = null } = load
  const subject = await openHttpSubject(service, { requests, holds })
  try {
    await warmUp(subject, jobs)
  } finally {
    await subject.stop()
  }
}

/** Ends subjects, of services only their clients. */
export async function stopAll(subjects: readonly Subject[]): Promise<void> {
  await Promise.all(subjects.map(async ({ stop }) => stop()))
}
