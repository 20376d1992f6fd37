import { randomBytes } from 'node:crypto'

import { jobResponseSchema } from '@vision-queue/protocol'
import { forms } from '@vision-queue/test-support/client'
import { type Example, readExamples } from '@vision-queue/test-support/examples'

import type { Ledger } from './ledger.ts'
import { sleep } from './scenario.ts'

const pictures = readExamples().filter(({ type }) => type === 'image/jpeg')

/** A picture nobody has sent before: some bytes after the end of a JPEG, which decoders don't read. */
export function freshExample(more = ''): Example {
  const example = pictures[Math.floor(Math.random() * pictures.length)]
  if (example === undefined) throw new Error('No examples')
  const image = Buffer.concat([example.image, randomBytes(8)])
  return { ...example, image, question: `${example.question} ${more}`.trim() }
}

/** What clients met on the way to their 202s. */
export interface LoadCounts {
  /** Sent again because the connection broke, or was refused, before an answer. */
  resent: number
  /** Of those, connections that were open already. */
  broken: number
  /** Answers 503 and 429, after which a client waits and sends again. */
  refused: number
  /** Any other answer. */
  unexpected: number
}

export interface LoadOptions {
  /** Where APIs are; a client goes on to the next when one breaks. */
  urls: () => readonly string[]
  clients: number
  /** Pause of a client between two jobs. */
  pauseMs: number
  ledger: Ledger
  signal: AbortSignal
  /** What is sent. Default: a fresh picture with a question of its own. */
  example?: () => Example
  headers?: Record<string, string>
}

/** Clients that submit one job after the other, until `signal` fires; none keeps more than one open. */
export async function offerLoad(options: LoadOptions): Promise<LoadCounts> {
  const counts: LoadCounts = { resent: 0, broken: 0, refused: 0, unexpected: 0 }
  const { signal, ledger, example = freshExample, headers = {} } = options

  const client = async (number: number): Promise<void> => {
    let turn = number
    while (!signal.aborted) {
      const sent = example()
      for (let answered = false; !answered;) {
        const urls = options.urls()
        const url = urls[turn++ % urls.length] ?? ''
        try {
          const response = await forms.raw(url, sent, headers)
          const text = await response.text()
          if (response.status === 202) {
            ledger.accept(jobResponseSchema.parse(JSON.parse(text)).id)
            answered = true
          } else if (response.status === 503 || response.status === 429) {
            counts.refused += 1
            await sleep(200)
          } else {
            counts.unexpected += 1
            answered = true
          }
        } catch (error) {
          counts.resent += 1
          if (!isRefused(error)) counts.broken += 1
          await sleep(20)
        }
        if (signal.aborted) return
      }
      await sleep(options.pauseMs)
    }
  }
  await Promise.all(Array.from({ length: options.clients }, async (_, number) => client(number)))
  return counts
}

/** Whether nobody listened there, so that the request can't have been heard. */
function isRefused(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED'
}
