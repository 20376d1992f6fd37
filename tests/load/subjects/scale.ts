import { warmUp } from '../windows/measure.ts'
import { openBareQueue } from './bare-queue.ts'
import { openEcho } from './echo.ts'
import type { HttpLoad } from './http-load.ts'
import type { Subject } from './subject.ts'

/** E and B, warm: what everything else is measured in. */
export async function openScale({ requests }: HttpLoad, warmUpJobs: number): Promise<Subject[]> {
  const opened: Subject[] = []
  try {
    for (const open of [async () => openEcho({ requests }), openBareQueue]) {
      const subject = await open()
      opened.push(subject)
      await warmUp(subject, warmUpJobs)
    }
    return opened
  } catch (error) {
    await Promise.all(opened.map(async ({ stop }) => stop()))
    throw error
  }
}
