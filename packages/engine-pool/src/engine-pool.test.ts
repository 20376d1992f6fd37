import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'

import { type Fate, writeFates } from '../test/fates.ts'

import { isRunning } from '../test/processes.ts'
import { ask, askAll, closeUnrulyPools, openUnrulyPool, quiet } from '../test/unruly-pool.ts'
import { HandedBackError } from './inference.ts'
import { engineProgram } from './engine-program.ts'

const pauseSchema = z.object({ pauseMs: z.number() })
afterEach(closeUnrulyPools)

const goodOnes = (count: number): string[] => Array.from({ length: count }, (_, index) => `good ${index}`)

describe('running', () => {
  it('answers jobs that came before the engines were ready, in batches, and counts them', async () => {
    const pool = openUnrulyPool({ engines: 2 })
    const launched: string[] = []
    const watched = openUnrulyPool({ onLaunch: (ids) => launched.push(...ids) })
    expect(await askAll(pool, goodOnes(30))).toEqual(goodOnes(30))
    await ask(watched, 'good', { id: 'watched' })
    expect(launched).toEqual(['watched'])
    const { batches, jobs: counted } = pool.stats()
    expect(counted).toEqual({ succeeded: 30 })
    expect(Object.entries(batches).reduce((sum, [size, count]) => sum + Number(size) * count, 0)).toBe(30)
    expect(Object.keys(batches).every((size) => Number(size) <= 4)).toBe(true)
    expect(Object.keys(batches).some((size) => Number(size) > 1)).toBe(true)
    expect(pool.cpuSeconds()).toBeGreaterThan(0)
    expect(pool.inFlight).toBe(0)
  })

  it('gives its engines nothing of its own environment', async () => {
    vi.stubEnv('REDIS_URL', 'redis://:secret@example.com')
    const names = await ask(openUnrulyPool({ env: { PASSED: '1' } }), 'environment')
    vi.unstubAllEnvs()
    expect(names).toContain('PASSED')
    expect(names).not.toContain('REDIS_URL')
    expect(names).not.toContain('HOME')
  })

  it('lets its engines give way to other processes', async () => {
    const pool = openUnrulyPool({ niceness: 7 })
    await pool.ready
    expect(pool.pids.map((pid) => getPriority(pid))).toEqual([getPriority() + 7])
  })

  it('gives an engine all images of a job, in their order, and none where there are none', async () => {
    const pool = openUnrulyPool()
    const images = [Uint8Array.of(1, 2), Uint8Array.of(1), Uint8Array.of(1, 2, 3)]
    expect(await ask(pool, 'images', { images })).toBe('2 1 3')
    expect(await ask(pool, 'images', { images: [] })).toBe('')
  })

  it('answers both where one id is asked for twice at a time', async () => {
    const pool = openUnrulyPool()
    const request = { id: 'twin', images: [new Uint8Array()], input: { question: 'sleep 20' }, parameters: {} }
    const twins = [pool.run({ ...request, deadlineAt: null }), pool.run({ ...request, deadlineAt: null })]
    expect(await Promise.all(twins)).toHaveLength(2)
  })

  it('ends a job whose deadline has passed, before it runs', async () => {
    const pool = openUnrulyPool()
    await expect(ask(pool, 'good', { deadlineAt: Date.now() - 1 })).rejects.toMatchObject({ code: 'deadline_exceeded' })
    expect(pool.stats()).toMatchObject({ batches: {}, jobs: { expired: 1 } })
  })

  it('drops a job that is aborted while another batch runs', async () => {
    const pool = openUnrulyPool()
    await pool.ready
    const busy = ask(pool, 'sleep 300')
    await vi.waitFor(() => expect(pool.inFlight).toBe(1))
    const controller = new AbortController()
    const dropped = ask(pool, 'good', { signal: controller.signal })
    controller.abort(new Error('not wanted any more'))
    await expect(dropped).rejects.toThrow('not wanted any more')
    await busy
    await ask(pool, 'last')
    expect(pool.stats().jobs).toEqual({ canceled: 1, succeeded: 2 })
    expect(Object.values(pool.stats().batches).reduce((a, b) => a + b, 0)).toBe(2)
  })

  it('a run that throws fails the job at fault, with nothing of the inner message', async () => {
    const pool = openUnrulyPool()
    expect(await askAll(pool, ['good 1', 'throw', 'good 2'])).toEqual(['good 1', 'inference_failed', 'good 2'])
    const error: unknown = await ask(pool, 'throw').catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'inference_failed', detail: expect.not.stringContaining('tensor') })
    expect(pool.stats().engineRestarts).toBe(0)
  })

  it('leaves the signals of a process group to the parent', async () => {
    const pool = openUnrulyPool()
    await pool.ready
    const [pid = 0] = pool.pids
    process.kill(pid, 'SIGTERM')
    process.kill(pid, 'SIGINT')
    expect(await ask(pool, 'good')).toBe('good')
    expect(pool.pids).toEqual([pid])
  })
})

describe('an engine that dies', () => {
  it('loses nothing when it is killed in the middle of a batch', async () => {
    const pool = openUnrulyPool({ engines: 2 })
    await pool.ready
    const questions = Array.from({ length: 24 }, (_, index) => `sleep 50 ${index}`)
    const answers = askAll(pool, questions)
    await vi.waitFor(() => expect(Object.keys(pool.stats().batches).length).toBeGreaterThan(0))
    for (const pid of pool.pids) process.kill(pid, 'SIGKILL')
    expect(await answers).toEqual(questions)
    expect(pool.stats().engineRestarts).toBeGreaterThan(0)
  })

  it.each(['die', 'die preparing'])('fails only the job that kills it (%s)', async (poison) => {
    const pool = openUnrulyPool({ engines: 2 })
    const questions = [...goodOnes(7), poison, ...goodOnes(7)]
    const expected = questions.map((question) => (question === poison ? 'engine_crashed' : question))
    expect(await askAll(pool, questions)).toEqual(expected)
    expect(await ask(pool, 'afterwards')).toBe('afterwards')
  })

  it('finds each of several jobs that kill their engine', async () => {
    const pool = openUnrulyPool()
    const questions = ['die', 'good 1', 'die', 'good 2']
    expect(await askAll(pool, questions)).toEqual(['engine_crashed', 'good 1', 'engine_crashed', 'good 2'])
  })

  it('a suspect runs alone from the start, and takes nobody with it', async () => {
    const pool = openUnrulyPool()
    await pool.ready
    const poisonous = ask(pool, 'die', { alone: true })
    const others = askAll(pool, goodOnes(6))
    await expect(poisonous).rejects.toMatchObject({ code: 'engine_crashed' })
    expect(await others).toEqual(goodOnes(6))
    expect(pool.stats().engineRestarts).toBe(1)
  })

  it('is killed when a run takes too long: the job at fault fails, the others are answered', async () => {
    const pool = openUnrulyPool({ runTimeoutMs: 500 })
    const [hung, ...others] = await askAll(pool, ['hang', ...goodOnes(3)])
    expect(hung).toBe('engine_crashed')
    expect(others).toEqual(goodOnes(3))
  })

  it('is not killed while it has nothing to do', async () => {
    const pool = openUnrulyPool({ runTimeoutMs: 100 })
    await ask(pool, 'good')
    const { pids } = pool
    await new Promise((resolve) => {
      setTimeout(resolve, 400)
    })
    await ask(pool, 'good')
    expect(pool.pids).toEqual(pids)
  })
})

describe('a model that can not be loaded', () => {
  it('fails ready and all jobs at once, and is not tried again', async () => {
    const pool = openUnrulyPool({ name: 'unloadable' })
    const asked = ask(pool, 'good')
    await expect(pool.ready).rejects.toMatchObject({ code: 'model_unavailable' })
    await expect(asked).rejects.toMatchObject({ code: 'model_unavailable' })
    await expect(ask(pool, 'good')).rejects.toMatchObject({ code: 'model_unavailable' })
    await pool.close({ deadlineMs: 0 })
    expect(pool.pids.filter(isRunning)).toEqual([])
    expect(pool.stats().engineRestarts).toBe(0)
  })

  it('says which file of a real folder is at fault', async () => {
    const engineEntry = engineProgram('process')
    const pool = openUnrulyPool({ name: 'missing', engineEntry })
    await expect(pool.ready).rejects.toMatchObject({
      detail: expect.stringContaining('missing/1/onnx/model.onnx is missing: '),
    })
  })
})

describe('an engine that dies while it loads', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fates-'))
  })
  afterEach(async () => {
    await rm(folder, { recursive: true })
  })
  const eventually = { timeout: 20_000, interval: 20 }

  it.each<Fate>(['SIGKILL', 'SIGSEGV', 'out of memory'])(
    'is started again until it loads, however often (%s)',
    async (fate) => {
      writeFates(folder, [fate, fate, fate, fate, fate])
      const pool = openUnrulyPool({ modelFolder: folder, longestPauseMs: 100 })
      const asked = ask(pool, 'good')
      await expect.poll(() => pool.trouble?.lost, eventually).toBe(true)
      expect(pool.trouble?.detail).toMatch(/ended while loading|could not be loaded/)
      expect(pool.trouble?.retryAt).toBeLessThan(Date.now() + 1000)
      expect(pool.enginesUp).toBe(0)
      expect(await asked).toBe('good')
      expect(pool.stats().engineRestarts).toBe(5)
      expect(pool.trouble).toBeNull()
      expect(pool.enginesUp).toBe(1)
    },
  )

  it('is killed when it does not load in time, and started again', async () => {
    writeFates(folder, ['hang'])
    const pool = openUnrulyPool({ modelFolder: folder, loadTimeoutMs: 5000, longestPauseMs: 100 })
    await expect.poll(() => pool.trouble?.detail, eventually).toContain('did not load its model within 5000 ms')
    expect(await ask(pool, 'good')).toBe('good')
    expect(pool.stats().engineRestarts).toBeGreaterThan(0)
  })

  it('hands back its jobs once it has lost all its engines, and answers again when one is back', async () => {
    const changes: (boolean | undefined)[] = []
    const pool = openUnrulyPool({
      modelFolder: folder,
      longestPauseMs: 100,
      onTrouble: () => changes.push(pool.trouble?.lost),
    })
    await pool.ready
    writeFates(
      folder,
      Array.from({ length: 6 }, (): Fate => 'SIGKILL'),
    )
    const running = ask(pool, 'sleep 60000')
    const waiting = ask(pool, 'good')
    await vi.waitFor(() => expect(Object.keys(pool.stats().batches).length + pool.inFlight).toBeGreaterThan(1))
    for (const pid of pool.pids) process.kill(pid, 'SIGKILL')
    await expect(waiting).rejects.toBeInstanceOf(HandedBackError)
    await expect(running).rejects.toBeInstanceOf(HandedBackError)
    expect(pool.trouble?.lost).toBe(true)
    await expect.poll(() => pool.enginesUp, eventually).toBe(1)
    expect(await ask(pool, 'good')).toBe('good')
    expect(changes).toContain(true)
    expect(pool.trouble).toBeNull()
  })

  it('the pause doubles up to its limit', async () => {
    writeFates(
      folder,
      Array.from({ length: 5 }, (): Fate => 'SIGKILL'),
    )
    const pauses: number[] = []
    const log = { ...quiet, warn: (fields: object) => pauses.push(pauseSchema.parse(fields).pauseMs) }
    const pool = openUnrulyPool({ modelFolder: folder, longestPauseMs: 300, log })
    await pool.ready
    expect(pauses).toEqual([100, 200, 300, 300, 300])
  })
})

it('a process that only takes jobs loads neither ONNX Runtime nor the image library', async () => {
  const program = `
    await import(${JSON.stringify(new URL('index.ts', import.meta.url).href)})
    process.stdout.write(JSON.stringify(process.report.getReport().sharedObjects))`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let objects = ''
  child.stdout.on('data', (chunk: Buffer) => {
    objects += chunk.toString()
  })
  await once(child, 'close')
  expect(objects).toContain('libc')
  expect(objects).not.toMatch(/onnxruntime|vips|sharp/)
})
