import { z } from 'zod'

import { type Drive, openDrive } from './drive.ts'

export const listenersOptionsSchema = z.object({ url: z.string(), jobs: z.array(z.string()) })

/** Opens an event stream on each of these jobs, from one process; `stop` closes them. */
export async function openListeners(url: string, jobs: readonly string[]): Promise<Drive> {
  const drive = await openDrive('listeners-process.ts', { url, jobs: [...jobs] } satisfies z.input<
    typeof listenersOptionsSchema
  >)
  try {
    await drive.go()
    return drive
  } catch (error) {
    await drive.stop()
    throw error
  }
}
