import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { sendAtRate, sendByClients } from './pacing.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const never = new AbortController().signal

test('at a rate every request is sent when it is due, though none is ever answered', async () => {
  const [sent, due]: [number[], number[]] = [[], []]
  const start = performance.now()
  const sending = sendAtRate({
    perSecond: 100,
    arrivals: 'even',
    endMs: start + 1000,
    signal: never,
    send: async (scheduledMs) => {
      due.push(scheduledMs - start)
      sent.push(performance.now() - start)
      return new Promise(() => {})
    },
  })
  await vi.advanceTimersByTimeAsync(2000)
  await sending

  expect(due.map(Math.round)).toEqual(Array.from({ length: due.length }, (_, index) => 10 * (index + 1)))
  expect(due.length).toBeGreaterThanOrEqual(99)
  for (const [index, at] of sent.entries()) expect(at - (due[index] ?? 0)).toBeLessThanOrEqual(1)
})

test('what was due while the process stood still is sent afterwards under the time at which it was due', async () => {
  const lateness: number[] = []
  const start = performance.now()
  let stood = false
  const sending = sendAtRate({
    perSecond: 100,
    arrivals: 'even',
    endMs: start + 500,
    signal: never,
    send: async (scheduledMs) => {
      lateness.push(performance.now() - scheduledMs)
      if (stood) return
      stood = true
      // The clock goes on, and nothing else gets a turn.
      vi.advanceTimersByTime(200)
    },
  })
  await vi.advanceTimersByTimeAsync(1000)
  await sending

  expect(lateness.length).toBeGreaterThanOrEqual(49)
  expect(Math.max(...lateness)).toBeGreaterThan(180)
  expect(lateness.at(-1)).toBeLessThan(5)
})

test('independent callers come at the rate on average, in gaps and bursts', async () => {
  const due: number[] = []
  const start = performance.now()
  let state = 1
  const random = (): number => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
  const sending = sendAtRate({
    perSecond: 50,
    arrivals: 'poisson',
    endMs: start + 60_000,
    signal: never,
    random,
    send: async (scheduledMs) => {
      due.push(scheduledMs)
    },
  })
  await vi.advanceTimersByTimeAsync(61_000)
  await sending
  const gaps = due.slice(1).map((at, index) => at - (due[index] ?? 0))

  expect(due.length).toBeGreaterThan(2700)
  expect(due.length).toBeLessThan(3300)
  // Of exponential gaps, 39 % are shorter than half the mean and 14 % longer than twice the mean.
  expect(gaps.filter((gap) => gap < 10).length / gaps.length).toBeCloseTo(0.39, 1)
  expect(gaps.filter((gap) => gap > 40).length / gaps.length).toBeCloseTo(0.14, 1)
})

test('a client thinks, sends one request, and sends no other before the answer', async () => {
  const start = performance.now()
  const sentAt: number[] = []
  const sending = sendByClients({
    clients: 1,
    thinkMs: { min: 100, max: 100 },
    endMs: start + 1000,
    signal: never,
    send: async () => {
      sentAt.push(performance.now() - start)
      return new Promise((resolve) => {
        setTimeout(resolve, 150)
      })
    },
  })
  await vi.advanceTimersByTimeAsync(2000)
  await sending

  expect(sentAt).toEqual([100, 350, 600, 850])
})

test('all clients stop when they are told to', async () => {
  const stopping = new AbortController()
  let sent = 0
  const send = async (): Promise<void> => {
    sent += 1
    if (sent === 30) stopping.abort()
    await new Promise((resolve) => {
      setTimeout(resolve, 10)
    })
  }
  const endMs = performance.now() + 60_000
  const sending = sendByClients({ clients: 8, thinkMs: null, endMs, signal: stopping.signal, send })
  await vi.advanceTimersByTimeAsync(1000)
  await sending

  expect(sent).toBeLessThanOrEqual(32)
})
