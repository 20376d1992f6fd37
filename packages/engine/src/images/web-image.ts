import { hash as hashOf } from 'node:crypto'

import type { EngineWebImage } from '../engine-protocol.ts'

/**
 * Reads an image by an address that was made for it. Null where it is gone, or where other bytes lie there. Rejects where
 * nothing is known of it; the error does not name the address, which is a right to read.
 */
export async function readWebImage({ url, hash, bytes, timeoutMs }: EngineWebImage): Promise<Uint8Array | null> {
  // Whoever answers with another place, or with more than was to come, is not the store.
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs) })
  if (response.status === 404) return null
  if (!response.ok) throw new Error(`the store of images answered ${response.status}`)
  const read = new Uint8Array(bytes)
  let length = 0
  for await (const chunk of response.body ?? []) {
    if (length + chunk.length > bytes) return null
    read.set(chunk, length)
    length += chunk.length
  }
  return length === bytes && hashOf('sha256', read, 'hex') === hash ? read : null
}
