import type { HttpBindings } from '@hono/node-server'
import { VisionQueueError } from '@vision-queue/jobs'

import { gatherChunks } from './body-chunks.ts'

/**
 * The whole body of a request. Rejects with `payload_too_large` before reading where Content-Length
 * says so and otherwise as soon as the limit is passed; with `request_timeout` when the body isn't
 * complete `timeoutMs` after this was called. What was not read is then discarded for a moment and
 * the connection closed by the server, so that the client can read the answer first.
 */
export async function readBody(
  { incoming, outgoing }: HttpBindings,
  { maxBytes, timeoutMs }: { maxBytes: number; timeoutMs: number },
): Promise<Buffer> {
  const tooLarge = (): VisionQueueError =>
    new VisionQueueError('payload_too_large', `A body of this type may have at most ${maxBytes} bytes.`)
  if (Number(incoming.headers['content-length'] ?? 0) > maxBytes) throw tooLarge()
  // A client that asks first sends nothing until now, see http-server.ts. HTTP/1.0 knows no 100 (RFC 9110, 10.1.1).
  if (incoming.headers.expect?.toLowerCase() === '100-continue' && incoming.httpVersion !== '1.0') {
    outgoing.writeContinue()
  }
  return new Promise((resolve, reject) => {
    const chunks = gatherChunks()
    let bytes = 0
    const settle = (outcome: () => void): void => {
      clearTimeout(timer)
      incoming.off('data', take).off('end', finish).off('close', breakOff).off('error', breakOff).pause()
      outcome()
    }
    const take = (chunk: Buffer): void => {
      chunks.add(chunk)
      bytes += chunk.length
      if (bytes > maxBytes) settle(() => reject(tooLarge()))
    }
    const finish = (): void => settle(() => resolve(chunks.whole()))
    const breakOff = (): void =>
      settle(() =>
        reject(new VisionQueueError('invalid_request', 'The connection closed before the body was complete.')),
      )
    const timer = setTimeout(
      () => settle(() => reject(new VisionQueueError('request_timeout', `The body has to arrive in ${timeoutMs} ms.`))),
      timeoutMs,
    )
    incoming.on('data', take).on('end', finish).on('close', breakOff).on('error', breakOff)
  })
}
