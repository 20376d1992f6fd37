import { VisionQueueError } from '@vision-queue/protocol'

/**
 * Submits to one part of a queue after the other, in this order, until one has room. Rejects with anything else than a
 * lack of room at once, and where none has room with what that means for all of them.
 */
export async function inFirstWithRoom<Result>(
  parts: readonly number[],
  submit: (part: number) => Promise<Result>,
): Promise<Result> {
  const refusals: VisionQueueError[] = []
  for (const part of parts) {
    try {
      return await submit(part)
    } catch (error) {
      if (!(error instanceof VisionQueueError) || !meansNoRoom(error)) throw error
      refusals.push(error)
    }
  }
  throw refusalOf(refusals)
}

function meansNoRoom({ code }: VisionQueueError): boolean {
  return code === 'queue_full' || code === 'deadline_unmeetable'
}

function refusalOf(refusals: readonly VisionQueueError[]): Error {
  const [first] = refusals
  if (first === undefined) return new Error('A queue has no parts')
  if (refusals.length === 1) return first
  const soonest = Math.min(...refusals.map(({ retryAfterMs = Number.POSITIVE_INFINITY }) => retryAfterMs))
  // There is room for the job where only its deadline was in the way.
  const { code, detail } = refusals.find((refusal) => refusal.code === 'deadline_unmeetable') ?? first
  const said = `None of the ${refusals.length} parts of the queue has room. In one of them: ${detail}`
  return new VisionQueueError(code, said, Number.isFinite(soonest) ? { retryAfterMs: soonest } : {})
}
