import { rename } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { eventually, manageModels } from './test-support/managed-models.ts'

const { around, start, write, states, run } = manageModels()

test('versions run side by side: a pinned job on its own, others on the highest', async () => {
  await Promise.all(['1', '2'].map(async (version) => write('a', version)))
  start('a@*')
  await expect.poll(states, eventually).toEqual({ 'a@2': 'ready *', 'a@1': 'ready' })
  expect(around.queues).toEqual(new Set(['a', 'a@1', 'a@2']))
  const [any, one, three] = [await run(null), await run('1'), await run('3')]
  expect(any?.version).toBe('2')
  expect(JSON.stringify(any?.result.output)).toContain('word of 2')
  expect(one?.version).toBe('1')
  expect(JSON.stringify(one?.result.output)).toContain('word of 1')
  expect(three).toBeNull()
})

test('a job that is not pinned runs on the version it was routed to while that is loaded, else on the one that serves', async () => {
  await Promise.all(['1', '2'].map(async (version) => write('a', version)))
  start('a@*')
  await expect.poll(states, eventually).toEqual({ 'a@2': 'ready *', 'a@1': 'ready' })
  expect([(await run(null, '1'))?.version, (await run(null, '2'))?.version]).toEqual(['1', '2'])
  around.orders['a@1'] = { wanted: 'unloaded', at: 1, reloadAt: 0 }
  await expect.poll(states, eventually).toEqual({ 'a@2': 'ready *', 'a@1': 'unloaded' })
  expect((await run(null, '1'))?.version).toBe('2')
  expect(await run('1')).toBeNull()
})

test('a new version takes over once it is warm; jobs taken before finish on the old one, and no job fails', async () => {
  await write('a', '1')
  start()
  await expect.poll(states, eventually).toEqual({ 'a@1': 'ready *' })
  const ran = new Map<string, number>()
  const over = new AbortController()
  const clients = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) {
      const done = await run(null)
      if (done === null) throw new Error('Nothing served')
      expect(JSON.stringify(done.result.output)).toContain(`word of ${done.version}`)
      ran.set(done.version, (ran.get(done.version) ?? 0) + 1)
    }
  })
  // Beside it first, then in one step, as well as file by file.
  await write('.staged', '2')
  await rename(join(around.repository, '.staged', '2'), join(around.repository, 'a', '2'))
  await expect.poll(states, eventually).toEqual({ 'a@2': 'ready *', 'a@1': 'unloaded' })
  const before = ran.get('2') ?? 0
  await expect.poll(() => ran.get('2') ?? 0, eventually).toBeGreaterThan(before)
  around.orders['a@2'] = { wanted: 'configured', at: 0, reloadAt: Date.now() }
  await expect.poll(() => around.opened, eventually).toEqual(['a@1', 'a@2', 'a@2'])
  // The old engines are gone once the new ones are warm, and it never stopped serving.
  await expect.poll(() => around.manager?.describe().engines, eventually).toBe(1)
  over.abort()
  await Promise.all(clients)
  expect(ran.get('1')).toBeGreaterThan(0)
})

test('orders load, unload and load again; unloading the newest goes back to the one before', async () => {
  await Promise.all(['1', '2'].map(async (version) => write('a', version)))
  start()
  await expect.poll(states, eventually).toEqual({ 'a@2': 'ready *', 'a@1': 'unloaded' })
  around.orders['a@2'] = { wanted: 'unloaded', at: 1, reloadAt: 0 }
  await expect.poll(states, eventually).toEqual({ 'a@2': 'unloaded', 'a@1': 'ready *' })
  around.orders['a@1'] = { wanted: 'unloaded', at: 2, reloadAt: 0 }
  await expect.poll(states, eventually).toEqual({ 'a@2': 'unloaded', 'a@1': 'unloaded' })
  expect(around.queues).toEqual(new Set())
  expect(await run(null)).toBeNull()
  around.orders = {
    'a@1': { wanted: 'loaded', at: 3, reloadAt: 0 },
    'a@2': { wanted: 'configured', at: 3, reloadAt: 0 },
  }
  await expect.poll(states, eventually).toEqual({ 'a@2': 'ready *', 'a@1': 'ready' })
})

test('a replaced version stays for the jobs pinned to it, also those from before the start, and takes no others', async () => {
  await write('a', '1')
  await write('a', '2')
  around.pinnedJobs['a@1'] = 1
  start()
  await expect.poll(() => around.queues, eventually).toEqual(new Set(['a', 'a@1', 'a@2']))
  expect(states()).toEqual({ 'a@2': 'ready *', 'a@1': 'unloaded' })
  expect((await run('1'))?.version).toBe('1')
  await write('a', '3')
  around.pinnedJobs = { 'a@2': 1 }
  await expect.poll(states, eventually).toEqual({ 'a@3': 'ready *', 'a@2': 'unloaded', 'a@1': 'unloaded' })
  await expect.poll(() => around.queues, eventually).toEqual(new Set(['a', 'a@2', 'a@3']))
  expect((await run('2'))?.version).toBe('2')
  around.pinnedJobs = {}
  await expect.poll(() => around.queues, eventually).toEqual(new Set(['a', 'a@3']))
  expect(await run('2')).toBeNull()
})
