import { clientsPart } from '../windows/window.ts'
import type { ChatPlan } from './chat-plan.ts'
import { openDrive } from './drive.ts'
import type { Server } from './http-load.ts'
import type { Subject } from './subject.ts'

/** A server under the load of clients that chat, which run in a process of their own. Stopping it leaves the server. */
export async function openChatSubject(
  { name, url, parts }: Server,
  load: Pick<ChatPlan, 'model' | 'clients' | 'questions'>,
): Promise<Subject> {
  const plan: ChatPlan = { ...load, url }
  const drive = await openDrive('chat-clients-process.ts', plan)
  return {
    ...drive,
    name,
    settleJobs: plan.clients,
    parts: (table) => [...parts(table), { part: clientsPart, pid: drive.pid }],
  }
}
