import { totalmem } from 'node:os'

import { VisionQueueError } from '@vision-queue/protocol'

/** A body that is arriving. Every byte of it is counted until it is whole or given up. */
export interface ArrivingBody {
  /** Counts bytes that came. Throws `overloaded` where there is no room for them. */
  add(bytes: number): void
  /** Gives its room back; once is enough, twice does no harm. */
  end(): void
}

/** The memory that all bodies together may take while they arrive, of one API process. */
export interface BodyBudget {
  /**
   * Lets a body begin. `announced` is its Content-Length, null without one. Throws `overloaded` where it would not fit
   * beside what has arrived. `giveUp` is called when it has stood still and another body needs its room.
   */
  begin(announced: number | null, giveUp: (error: VisionQueueError) => void): ArrivingBody
  /** How many bytes have arrived of the bodies that are not whole yet. */
  held(): number
}

interface Options {
  /** 0: by the memory there is. */
  maxBytes: number
  /** The largest single body, which always fits where no other is. */
  maxBodyBytes: number
  /** A body of which nothing came for so long stands still. */
  stillMs?: number
}

interface Body {
  /** That have arrived. */
  bytes: number
  /** When the last of them came, by `performance.now()`. */
  movedAt: number
  giveUp: (error: VisionQueueError) => void
}

const mebibyte = 1024 * 1024
/** Bodies up to this size find room where larger ones have theirs filled: they ask for a quarter of it at most. */
const smallBytes = mebibyte
const largeShare = 0.75
const retryAfterMs = 1000

/**
 * Counts what has arrived, not what was announced: who announces much and sends nothing would take the room of others.
 * So bodies that began may still find it full; then the one that has stood still for longest gives way, or where none
 * has, the one that came last.
 */
export function createBodyBudget({ maxBytes, maxBodyBytes, stillMs = 1000 }: Options): BodyBudget {
  const limit = Math.max(maxBytes === 0 ? defaultBytes() : maxBytes, maxBodyBytes)
  const largeLimit = Math.max(limit * largeShare, maxBodyBytes)
  const bodies = new Set<Body>()
  let held = 0

  const endStill = (): boolean => {
    let stillest: Body | null = null
    for (const body of bodies) if (body.bytes > 0 && body.movedAt < (stillest?.movedAt ?? Infinity)) stillest = body
    if (stillest === null || performance.now() - stillest.movedAt < stillMs) return false
    const detail = `The body stood still for ${stillMs} ms while others needed the room.`
    stillest.giveUp(new VisionQueueError('request_timeout', detail))
    return true
  }
  const makeRoom = (bytes: number, ofLimit: number): void => {
    const isFull = (): boolean => held + bytes > ofLimit
    let full = isFull()
    while (full) {
      if (!endStill()) {
        const detail = 'More bodies arrive at once than there is memory for. Try again in a moment.'
        throw new VisionQueueError('overloaded', detail, { retryAfterMs })
      }
      full = isFull()
    }
  }

  return {
    begin(announced, giveUp) {
      const ofLimit = announced !== null && announced <= smallBytes ? limit : largeLimit
      makeRoom(announced ?? 0, ofLimit)
      const body = { bytes: 0, movedAt: performance.now(), giveUp }
      bodies.add(body)
      return {
        add(bytes) {
          body.movedAt = performance.now()
          makeRoom(bytes, ofLimit)
          body.bytes += bytes
          held += bytes
        },
        end() {
          if (bodies.delete(body)) held -= body.bytes
        },
      }
    },
    held: () => held,
  }
}

/** An eighth of the memory of the machine, or of the container where that is less; 256 MiB at most. */
function defaultBytes(): number {
  const constrained = process.constrainedMemory()
  const there = constrained > 0 ? Math.min(totalmem(), constrained) : totalmem()
  return Math.min(Math.floor(there / 8), 256 * mebibyte)
}
