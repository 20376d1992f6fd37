import type { GenerationFigures } from '@vision-queue/protocol'

import type { Phase } from '../generation/phase-turns.ts'
import type { Stepper } from '../tasks/stepper.ts'

/** Milliseconds of steps since the beginning, by what they were. */
export type TimeSpent = Record<Phase, number>

/** Does a step's work and adds its time. It must not reject. */
export async function timed<T>(spent: TimeSpent, phase: Phase, work: () => Promise<T>): Promise<T> {
  const beganAt = performance.now()
  const done = await work()
  spent[phase] += performance.now() - beganAt
  return done
}

/** What a stepper's batcher tells of itself. */
export function generationFigures<Prepared>(
  {
    bytesOf,
    maxBytes = 0,
    heldBytes,
    seenImages,
  }: Pick<Stepper<Prepared, never>, 'bytesOf' | 'maxBytes' | 'heldBytes' | 'seenImages'>,
  { encode, prefill, decode }: TimeSpent,
  { running, waiting }: { running: readonly Prepared[]; waiting: number },
): GenerationFigures {
  const { known, fresh } = seenImages?.() ?? { known: 0, fresh: 0 }
  return {
    encodeMs: encode,
    prefillMs: prefill,
    decodeMs: decode,
    imagesKnown: known,
    imagesNew: fresh,
    running: running.length,
    waiting,
    reservedBytes: bytesOf?.(running) ?? 0,
    heldBytes: heldBytes?.() ?? 0,
    limitBytes: maxBytes,
  }
}
