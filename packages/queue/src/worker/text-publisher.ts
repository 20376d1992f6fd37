import { jobFields, type RequestContext } from '@vision-queue/process'

import type { JobChange } from '../job-change.ts'

import { publishChange } from '../publish-change.ts'
import type { RedisClient, TransportLog } from '@vision-queue/redis'

/**
 * Tells a job's watchers its answer while it is generated. Each message holds the whole text so far:
 * one that gets lost is made good by the next, and who comes late has what the others have.
 *
 * Nothing waits for it. One message is under way at a time, and what comes meanwhile goes with the
 * next, so a slow Redis makes fewer messages rather than a queue of them. Redis, but not a Cluster, answers with
 * the number of listeners: while there are none, it is asked again only every `quietMs`.
 */
export interface TextPublisher {
  /** A piece of the text and where it begins in the whole; what was there from that place on is replaced. */
  add(piece: { text: string; index: number }): void
  /** Sends what listeners have not got yet, before the result is published on the same connection; the rest is ignored. */
  end(): void
}

export interface TextPublisherOptions {
  redis: RedisClient
  id: string
  /** For the log. */
  context?: RequestContext | undefined
  log: TransportLog
  /** How long a late listener may wait for the first text. Default: 250. */
  quietMs?: number
}

export function openTextPublisher({ redis, id, context, log, quietMs = 250 }: TextPublisherOptions): TextPublisher {
  let text = ''
  let sent = ''
  let underWay = false
  let quietUntil = 0
  let ended = false

  const send = async (change: JobChange): Promise<void> => {
    underWay = true
    try {
      const listeners = await publishChange(redis, id, change)
      quietUntil = listeners === 0 ? performance.now() + quietMs : 0
    } catch (error) {
      log.warn({ ...jobFields({ id, context }), error: String(error) }, 'A text could not be published')
    }
    underWay = false
    if (!ended) publishIfDue()
  }
  const publish = (): void => {
    sent = text
    void send({ kind: 'tokens', text })
  }
  const publishIfDue = (): void => {
    if (!underWay && sent !== text && performance.now() >= quietUntil) publish()
  }

  return {
    add(piece) {
      if (ended) return
      text = text.slice(0, piece.index) + piece.text
      publishIfDue()
    },
    end() {
      if (!ended && sent !== text && quietUntil === 0) publish()
      ended = true
    },
  }
}
