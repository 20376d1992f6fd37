import { expect, test } from 'vitest'
import { png } from './test-support/images.ts'
import { postJson, startApi } from './test-support/start-api.ts'
test('x', async () => {
  const api = await startApi()
  const r = await postJson(api, { input: { image: png.toString('base64'), question: '?' } })
  const { id } = (await r.json()) as any
  const client = new AbortController()
  const t0 = performance.now()
  const answering = fetch(`${api.url}/jobs/${id}?wait=60`, { signal: client.signal })
  await expect.poll(() => api.jobs.openWatches()).toBe(1)
  client.abort()
  await answering.catch(() => {})
  console.log('aborted', performance.now() - t0)
  await expect.poll(() => api.jobs.openWatches()).toBe(0)
  console.log('closed watch', performance.now() - t0)
  await api.stop()
  console.log('stopped', performance.now() - t0)
})
