import { everyTogether } from '@vision-queue/process'
import { openDurableConnection } from '@vision-queue/redis'

import { readParts } from '../queue-places.ts'
import { type JobSource, type JobSourceOptions, openJobSource } from './job-source.ts'

export interface PartedSourceOptions extends Omit<JobSourceOptions, 'part'> {
  /** How many parts of the model's queue the jobs are taken from: what the consumer announces. */
  parts: number
  /** How often to look whether there are parts of others. Default: 5 s. */
  lookEveryMs?: number
}

/**
 * Takes a model's jobs from all parts of its queue: those that the consumer announces share the places of
 * `concurrency` evenly. Parts that were ever used beyond them are taken from, too, with a few places more: jobs may
 * wait there since before a setting was lowered, or come from an API process that hasn't heard of it.
 */
export function openPartedSource({ parts, lookEveryMs = 5000, ...options }: PartedSourceOptions): JobSource {
  const { concurrency, model, log } = options
  const redis = options.redis ?? openDurableConnection({ ...options, name: `consumer-${model}` })
  const sources: JobSource[] = []
  const openUpTo = (count: number, places: number): void => {
    while (sources.length < count) {
      const part = sources.length
      sources.push(openJobSource({ ...options, redis, part, concurrency: Math.ceil(concurrency / places) }))
    }
  }
  openUpTo(parts, parts)

  let closed = false
  let looking = false
  const look = async (): Promise<void> => {
    const used = await readParts(redis, model)
    if (!closed) openUpTo(used, used)
  }
  const lookAgain = (): void => {
    // While Redis is away one look waits for it; more would only pile up behind.
    if (looking) return
    looking = true
    look()
      .catch((error: unknown) => {
        if (!closed) log.warn({ model, error: String(error) }, 'How many parts a queue has was not read')
      })
      .finally(() => {
        looking = false
      })
  }
  lookAgain()
  const looks = everyTogether(lookEveryMs, lookAgain)

  const end = (): void => {
    closed = true
    looks.close()
  }
  const disconnect = (): void => {
    if (options.redis === undefined) redis.disconnect()
  }
  return {
    async close() {
      end()
      await Promise.all(sources.map(async (source) => source.close()))
      disconnect()
    },
    abandon() {
      end()
      for (const source of sources) source.abandon()
      disconnect()
    },
  }
}
