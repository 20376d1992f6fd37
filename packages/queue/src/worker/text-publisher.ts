import { jobFields, type RequestContext } from '@vision-queue/process'
import type { TransportLog } from '@vision-queue/redis'
import { nanoid } from 'nanoid'

import type { TextLog } from '../text-log.ts'
import type { TextPiece } from '../text-piece.ts'
import { createGrowingText } from './growing-text.ts'

/**
 * Tells a job's readers its answer while it is generated: each piece once, kept in a log for those who come late
 * (text-log.ts).
 *
 * Nothing waits for it. One command is under way at a time, and what comes meanwhile goes with the next, so a slow
 * Redis makes fewer pieces rather than a queue of them. While nobody listens nothing is sent and nothing kept: Redis,
 * but not a Cluster, is asked every `quietMs` whether somebody does, and then gets all of the text so far.
 */
export interface TextPublisher {
  /** A piece of the text and where it begins in the whole; what was there from that place on is replaced. */
  add(piece: TextPiece): void
  /** Sends what listeners have not got yet, before the result is published on the same connection; the rest is ignored. */
  end(): void
}

export interface TextPublisherOptions {
  textLog: TextLog
  id: string
  /** For the log. */
  context?: RequestContext | undefined
  log: TransportLog
  /** How long a late listener may wait for the first text, in milliseconds. Default: 250. */
  quietMs?: number
  /** The most bytes of text that are sent; what is over it comes with the result. Default: 1 MiB. */
  maxBytes?: number
}

/** How long the log outlives its last piece: longer than an engine needs to begin anew. */
const betweenPiecesMs = 300_000
/** And the end of the text, for who has to connect again just then. The result has the text, too. */
const afterEndMs = 30_000

export function openTextPublisher(options: TextPublisherOptions): TextPublisher {
  const { textLog, id, context, log, quietMs = 250, maxBytes = 1_048_576 } = options
  const text = createGrowingText()
  let at = { run: nanoid(8), number: 0 }
  let bytes = 0
  let underWay = false
  /** Whether somebody listens, as far as is known. */
  let heard = false
  let askAgainAt = 0
  let ended = false
  let warned = false
  /** Another run has replaced this one, or the text is over its bound. */
  let silent = false

  const append = async (piece: TextPiece): Promise<void> => {
    const place = { ...at, forMs: ended ? afterEndMs : betweenPiecesMs }
    at.number += 1
    const { outcome, listeners } = await textLog.append(id, piece, place)
    heard = listeners !== 0
    if (outcome === 'replaced') fallSilent()
    if (outcome === 'lost') beginAnew()
  }
  const fallSilent = (): void => {
    silent = true
    // The log is another run's.
    at.number = 0
  }
  const beginAnew = (): void => {
    at = { run: nanoid(8), number: 0 }
    bytes = 0
    text.beginAnew()
  }
  const ask = async (): Promise<void> => {
    heard = (await textLog.countListeners(id)) !== 0
    if (!heard) askAgainAt = performance.now() + quietMs
  }
  const work = async (doing: Promise<void>, ifItFails: () => void): Promise<void> => {
    underWay = true
    try {
      await doing
    } catch (error) {
      if (!warned) log.warn({ ...jobFields({ id, context }), error: String(error) }, 'A text could not be published')
      warned = true
      ifItFails()
      heard = false
      askAgainAt = performance.now() + quietMs
    }
    underWay = false
    if (!ended) goOn()
  }
  const send = (): void => {
    const piece = text.take()
    if (piece === null) return
    bytes += Buffer.byteLength(piece.text)
    if (bytes > maxBytes) silent = true
    // Whether a piece that failed is in the log is not known.
    else void work(append(piece), beginAnew)
  }
  const goOn = (): void => {
    if (underWay || silent || !text.isDue) return
    if (heard) send()
    else if (performance.now() >= askAgainAt) void work(ask(), () => {})
  }

  return {
    add(piece) {
      if (ended || silent) return
      text.add(piece)
      goOn()
    },
    end() {
      if (ended) return
      ended = true
      // Even if a command is under way: this one comes after it.
      if (heard && !silent && text.isDue) send()
      else if (at.number > 0) void work(textLog.keepFor(id, afterEndMs), () => {})
    },
  }
}
