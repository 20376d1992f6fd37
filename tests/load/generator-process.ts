import { loadPlanSchema } from '@vision-queue/load/load-plan'
import { runLoad } from '@vision-queue/load/run-load'

import type { FromGenerator } from './generator.ts'

/** `npm run load`'s generator in a process of its own: one plan in, the start, the end and the samples out. */
const say = async (message: FromGenerator): Promise<void> =>
  new Promise((resolve) => {
    process.send?.(message, () => resolve())
  })

// With its parent ends its load.
process.once('disconnect', () => process.exit(0))
process.once('message', (raw: unknown) => void generate(raw))

async function generate(raw: unknown): Promise<void> {
  const run = await runLoad(loadPlanSchema.parse(raw), {
    onStart: () => void say({ kind: 'start' }),
    onEnd: () => void say({ kind: 'end' }),
  })
  await say({ kind: 'run', run })
  process.disconnect()
}
