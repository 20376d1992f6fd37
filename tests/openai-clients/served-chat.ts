import { answerJobs } from '@vision-queue/api/test-support/answer-jobs'
import { chatModel, wordyModels } from '@vision-queue/api/test-support/chat-models'
import { startApi, type TestApi } from '@vision-queue/api/test-support/start-api'

/** What the model that talks says. */
export const said = 'A red circle.'
/** What it says where a JSON Schema is asked for. */
export const structured = { shape: 'circle', colour: 'red' }
/** A PNG of one pixel. */
export const imageUri =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCBd81ytgAAAABJRU5ErkJggg=='

/**
 * The API with a model that talks, whose consumer answers every job at once and a text in two pieces. Jobs of more
 * than 100 new tokens are left alone, for who gives up waiting.
 */
export async function serveChat(env: Record<string, string> = {}): Promise<TestApi> {
  const api = await startApi(env)
  api.models.models = [chatModel, ...wordyModels]
  answerJobs(api.jobs, ({ model, parameters }) => {
    if (model === 'shapes-clip') return { output: { labels: [{ label: 'dog', score: 0.75 }] } }
    if (Number(parameters['max_new_tokens'] ?? 0) > 100) return null
    const text = parameters['response_format'] === undefined ? said : JSON.stringify(structured)
    return {
      says: [text.slice(0, 5), text],
      output: {
        text,
        tokens: 4,
        finish_reason: 'stop',
        usage: { prompt_tokens: 70, text_tokens: 6, image_tokens: 64, completion_tokens: 4 },
      },
    }
  })
  return api
}

/** The state of every job that was submitted. */
export async function jobStates(api: TestApi): Promise<(string | undefined)[]> {
  return Promise.all(api.jobs.submitted.map(async ({ job }) => (await api.jobs.of(null).read(job.id))?.status))
}

/** What comes, once all has come. */
export async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
