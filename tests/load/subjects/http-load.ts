import type { ProcessTable } from '../processes.ts'
import { clientsPart, type Part } from '../windows/window.ts'
import { openDrive } from './drive.ts'
import type { HttpPlan } from './http-plan.ts'
import type { Subject } from './subject.ts'

/** A server that others start and stop. */
export interface Server {
  name: string
  url: string
  parts(table: ProcessTable): Part[]
}

/** What is sent to a server: the plan without what has a usual value. */
export type HttpLoad = Pick<HttpPlan, 'requests'> & Partial<HttpPlan>

/** A server under the load of HTTP clients, which run in a process of their own. Stopping it leaves the server. */
export async function openHttpSubject({ name, url, parts }: Server, load: HttpLoad): Promise<Subject> {
  const plan: HttpPlan = { clients: 64, thinkMs: null, unique: true, holds: null, readTimes: false, ...load, url }
  const drive = await openDrive('http-clients-process.ts', plan)
  const settleJobs = plan.thinkMs === null ? plan.clients : 0
  return { ...drive, name, settleJobs, parts: (table) => [...parts(table), { part: clientsPart, pid: drive.pid }] }
}
