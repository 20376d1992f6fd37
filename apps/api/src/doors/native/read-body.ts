import type { HttpBindings } from '@hono/node-server'
import { toVisionQueueError, VisionQueueError } from '@vision-queue/protocol'

import { gatherChunks } from './body-chunks.ts'
import type { BodyBudget } from '../../guard/body-budget.ts'

/**
 * The whole body of a request. Rejects with `payload_too_large` before reading where Content-Length
 * says so and otherwise as soon as the limit is passed; with `request_timeout` when the body isn't
 * complete `timeoutMs` after this was called; with `overloaded` where the budget has no room for it, before reading
 * where Content-Length tells. What was not read is then discarded for a moment and
 * the connection closed by the server, so that the client can read the answer first.
 */
export async function readBody(
  { incoming, outgoing }: HttpBindings,
  { maxBytes, timeoutMs, budget }: { maxBytes: number; timeoutMs: number; budget: BodyBudget },
): Promise<Buffer> {
  const tooLarge = (): VisionQueueError =>
    new VisionQueueError('payload_too_large', `A body of this type may have at most ${maxBytes} bytes.`)
  const length = incoming.headers['content-length']
  if (Number(length ?? 0) > maxBytes) throw tooLarge()
  return new Promise((resolve, reject) => {
    const room = budget.begin(length === undefined ? null : Number(length), (error) => giveUp(error))
    // A client that asks first sends nothing until now, see http-server.ts. HTTP/1.0 knows no 100 (RFC 9110, 10.1.1).
    if (incoming.headers.expect?.toLowerCase() === '100-continue' && incoming.httpVersion !== '1.0') {
      outgoing.writeContinue()
    }
    const chunks = gatherChunks()
    let bytes = 0
    const settle = (outcome: () => void): void => {
      clearTimeout(timer)
      room.end()
      incoming.off('data', take).off('end', finish).off('close', breakOff).off('error', breakOff).pause()
      outcome()
    }
    const giveUp = (error: VisionQueueError): void => settle(() => reject(error))
    const take = (chunk: Buffer): void => {
      bytes += chunk.length
      try {
        if (bytes > maxBytes) throw tooLarge()
        room.add(chunk.length)
        chunks.add(chunk)
      } catch (error) {
        giveUp(toVisionQueueError(error))
      }
    }
    const finish = (): void => settle(() => resolve(chunks.whole()))
    const breakOff = (): void =>
      giveUp(new VisionQueueError('invalid_request', 'The connection closed before the body was complete.'))
    const timer = setTimeout(
      () => giveUp(new VisionQueueError('request_timeout', `The body has to arrive in ${timeoutMs} ms.`)),
      timeoutMs,
    )
    incoming.on('data', take).on('end', finish).on('close', breakOff).on('error', breakOff)
  })
}
