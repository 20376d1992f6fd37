import { readFile } from 'node:fs/promises'

import { z } from 'zod'

import type { LoadPlan } from './load-plan.ts'
import { UsageError } from './options.ts'

const modelsSchema = z.object({ models: z.array(z.object({ name: z.string() })) })
const problemSchema = z.object({ detail: z.string(), code: z.string() })

/**
 * Asks the API before a load is put on it: whether it is there, has the model and takes the first picture with its
 * inputs. Throws UsageError with what is wrong, in the API's own words where it has some.
 */
export async function checkTarget(plan: LoadPlan): Promise<void> {
  const headers = plan.apiKey === null ? {} : { authorization: `Bearer ${plan.apiKey}` }
  const [first] = plan.requests
  if (first === undefined) throw new UsageError('There is nothing to send.')
  const base = plan.url.replace(/\/$/, '')

  const listed = await fetch(`${base}/models`, { headers }).catch((error: unknown) => {
    throw new UsageError(`Nothing answers at ${plan.url}: ${reasonOf(error)}. Is the API running there?`)
  })
  const models = modelsSchema.safeParse(await listed.json().catch(() => null))
  const wanted = first.query['model']?.split('@', 1).join('')
  if (!models.success) {
    if (listed.status === 401 || listed.status === 403) throw new UsageError('The API wants a key: --api-key.')
    throw new UsageError(
      `What answers at ${plan.url} is no vision-queue API: GET /models came back with ${listed.status}.`,
    )
  }
  const names = [...new Set(models.data.models.map(({ name }) => name))]
  if (wanted !== undefined && !names.includes(wanted)) {
    throw new UsageError(`There is no model ${wanted}; there are: ${names.join(', ') || 'none'}.`)
  }

  const answer = await fetch(`${base}/jobs?${new URLSearchParams(first.query).toString()}`, {
    method: 'POST',
    headers: { ...headers, 'content-type': first.contentType, prefer: `wait=${plan.waitSeconds}` },
    body: Uint8Array.from(await readFile(first.file)),
  })
  const problem = problemSchema.safeParse(await answer.json().catch(() => null))
  // A queue that is full now is what a load test may want to see.
  if (answer.status >= 400 && answer.status !== 429) {
    const detail = problem.success ? `${problem.data.detail} (${problem.data.code})` : `status ${answer.status}`
    throw new UsageError(`The API does not take ${first.file}: ${detail}`)
  }
}

/** fetch hides the reason in its error's cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (cause instanceof AggregateError && cause.errors[0] instanceof Error) return cause.errors[0].message
  return cause instanceof Error ? cause.message : String(cause)
}
