import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'

import { type Dispatcher, Pool } from 'undici'

import type { LoadPlan } from './load-plan.ts'
import { type Answer, noAnswer, readAnswer } from './sample.ts'

/** A way to the API that sends the planned requests. */
export interface JobPoster {
  /** Sends one of the plan's requests, by its index; resolves to its answer or to why there is none. Never rejects. */
  post(index: number): Promise<Answer>
  /** Cuts what is still under way. */
  close(): Promise<void>
}

/**
 * Keeps every picture in memory and each request ready to be sent. `connections`: the most at a time;
 * null: one more whenever all are busy, as an open loop needs. Rejects where a picture can't be read.
 *
 * undici's `dispatch` rather than its `request` or fetch: no streams, a third of the CPU time.
 */
export async function openJobPoster(plan: LoadPlan, connections: number | null): Promise<JobPoster> {
  const base = new URL(plan.url)
  const pool = new Pool(base.origin, { connections, headersTimeout: (plan.waitSeconds + 30) * 1000 })
  const path = `${base.pathname.replace(/\/$/, '')}/jobs`
  const files = new Map<string, Buffer>()
  for (const { file } of plan.requests) if (!files.has(file)) files.set(file, await readFile(file))
  const requests = plan.requests.map(({ query, contentType }): Dispatcher.DispatchOptions => ({
    path: `${path}?${new URLSearchParams(query).toString()}`,
    method: 'POST',
    headers: {
      'content-type': contentType,
      prefer: `wait=${plan.waitSeconds}`,
      ...(plan.apiKey === null ? {} : { authorization: `Bearer ${plan.apiKey}` }),
    },
    body: null,
  }))
  const pictures = plan.requests.map(({ file }) => files.get(file) ?? Buffer.alloc(0))
  // Random at its start, so that the next load does not repeat this one's pictures.
  const mark = randomBytes(16)
  let sent = 0
  const bodyOf = (index: number): Buffer => {
    const picture = pictures[index] ?? Buffer.alloc(0)
    if (!plan.uniquePictures) return picture
    mark.writeUInt32LE(sent++ % 2 ** 32, 8)
    return Buffer.concat([picture, mark])
  }

  return {
    async post(index) {
      const request = requests[index]
      if (request === undefined) throw new Error(`No request ${index}`)
      return new Promise((resolve) => {
        let status = 0
        let timing: string | undefined
        let body = ''
        const withBody = { ...request, body: bodyOf(index) }
        pool.dispatch(withBody, {
          // Without it undici takes the handler for one of its older kind.
          onRequestStart() {},
          onResponseStart(_controller, code, headers) {
            status = code
            const value = headers['server-timing']
            timing = Array.isArray(value) ? value.join() : value
          },
          onResponseData(_controller, chunk) {
            body += chunk.toString('latin1')
          },
          onResponseEnd() {
            resolve(readAnswer(status, timing, body))
          },
          onResponseError(_controller, error) {
            resolve(noAnswer(error))
          },
        })
      })
    },
    async close() {
      await pool.destroy()
    },
  }
}
