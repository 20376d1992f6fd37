import { setTimeout as delay } from 'node:timers/promises'

import { z } from 'zod'

const pauseMs = 250
const tryTimeoutMs = 5000
const reminderMs = 10_000

const modelsSchema = z.object({
  models: z.array(z.object({ name: z.string(), consumers: z.int(), status: z.string().optional() })),
})

const readinessSchema = z.object({ detail: z.string().optional() })

interface Options {
  /** The address of the API, without a slash at its end. */
  url: string
  /** Called every ten seconds with what is still missing. */
  onWait: (missing: string) => void
  signal: AbortSignal
}

/**
 * Waits until jobs can be served: the API says that it is ready, some consumer runs a model, and none is
 * still being loaded. Returns the names of those models; none where the API tells them only to who has a key. Rejects when the signal aborts; there is no limit of its own,
 * since loading a model takes as long as it takes.
 */
export async function waitUntilServing({ url, onWait, signal }: Options): Promise<string[]> {
  let remindedAt = performance.now()
  for (;;) {
    const found = await servedModels(url, signal)
    if (Array.isArray(found)) return found
    if (performance.now() - remindedAt > reminderMs) {
      onWait(found.missing)
      remindedAt = performance.now()
    }
    await delay(pauseMs, undefined, { signal })
  }
}

async function servedModels(url: string, signal: AbortSignal): Promise<string[] | { missing: string }> {
  try {
    const either = AbortSignal.any([signal, AbortSignal.timeout(tryTimeoutMs)])
    const ready = await fetch(`${url}/health/ready`, { signal: either })
    const { detail } = readinessSchema.catch({}).parse(await ready.json().catch(() => null))
    if (ready.status !== 200) return { missing: `the API is not ready (${ready.status}). ${detail ?? ''}`.trim() }

    const listed = await fetch(`${url}/models`, { signal: either })
    if (listed.status === 401) return []
    const { models } = modelsSchema.parse(await listed.json())
    const served = models.filter(({ consumers }) => consumers > 0)
    const loading = models.filter(({ status }) => status === 'loading').map(({ name }) => name)
    if (loading.length > 0) return { missing: `${loading.join(', ')} still loads` }
    return served.length > 0 ? served.map(({ name }) => name) : { missing: 'no consumer has announced a model' }
  } catch {
    return { missing: 'the API does not answer' }
  }
}
