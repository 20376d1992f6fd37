import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import type { LoadPlan } from '@vision-queue/load/load-plan'
import { type LoadRun, loadRunSchema } from '@vision-queue/load/run-load'

import { z } from 'zod'

const fromGeneratorSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('start') }),
  z.object({ kind: z.literal('end') }),
  z.object({ kind: z.literal('run'), run: loadRunSchema }),
])
export type FromGenerator = z.infer<typeof fromGeneratorSchema>

/**
 * Puts a load on an API from a process of its own, so that its CPU time and its pauses are not the
 * service's. `onStart` and `onEnd` frame the measurement. Rejects where the process dies.
 */
export async function generateLoad(
  plan: LoadPlan,
  { onStart, onEnd }: { onStart: () => void; onEnd: () => void },
): Promise<LoadRun> {
  const child = fork(fileURLToPath(new URL('generator-process.ts', import.meta.url)), {
    execArgv: ['--import', 'tsx'],
    // Samples by the ten thousand: faster than JSON.
    serialization: 'advanced',
  })
  return new Promise<LoadRun>((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code) => reject(new Error(`The load generator ended with ${code}`)))
    child.on('message', (raw: unknown) => {
      const message = fromGeneratorSchema.parse(raw)
      switch (message.kind) {
        case 'start':
          onStart()
          break
        case 'end':
          onEnd()
          break
        case 'run':
          resolve(message.run)
          break
        default:
          message satisfies never
      }
    })
    child.send(plan)
  })
}
