import type { Priority } from '@vision-queue/protocol'
import { describe, expect, it } from 'vitest'

import {
  bands,
  maySend,
  newSendWindow,
  noteAccepted,
  noteEnd,
  noteRefused,
  noteSend,
  opensAt,
  type Send,
  type SendWindow,
} from './send-window.ts'

/** Sends as many jobs as there is room for. */
function fill(window: SendWindow, priority: Priority = 'normal', now = 0): Send[] {
  const sends: Send[] = []
  while (maySend(window, priority, now)) sends.push(noteSend(window, priority))
  return sends
}

/** Fills the window, has all of it accepted, and ends it. */
function round(window: SendWindow, priority: Priority = 'normal', now = 0): number {
  const sends = fill(window, priority, now)
  for (const send of sends) noteAccepted(window, send)
  for (const send of sends) noteEnd(window, send)
  return sends.length
}

/** Grows the window to `size` in slow start. */
function grown(size: number, priority: Priority = 'normal', window = newSendWindow(size)): SendWindow {
  while (window.bands[priority].window < size) round(window, priority)
  return window
}

function refuse(window: SendWindow, sends: readonly Send[], now = 0, retryAfterMs: number | null = null): void {
  for (const send of sends) {
    noteRefused(window, send, { now, retryAfterMs })
    noteEnd(window, send)
  }
}

describe('a window that was never refused anything', () => {
  it('begins with one job and doubles with each round, up to its most', () => {
    const window = newSendWindow(10)
    expect(Array.from({ length: 6 }, () => round(window))).toEqual([1, 2, 4, 8, 10, 10])
  })

  it('does not grow by acceptances while less than half of it is in use', () => {
    const window = grown(8, 'normal', newSendWindow(100))
    for (let job = 0; job < 50; job += 1) {
      const send = noteSend(window, 'normal')
      noteAccepted(window, send)
      noteEnd(window, send)
    }
    expect(window.bands.normal.window).toBe(8)
  })
})

describe('a refusal', () => {
  it('halves the window once, however many of one flight are refused', () => {
    const window = grown(16)
    refuse(window, fill(window))
    expect(window.bands.normal.window).toBe(8)
  })

  it('of what was sent after it halves it again, and down to one job, which tries whether there is room', () => {
    const window = grown(16)
    const sizes = Array.from({ length: 6 }, (_, at) => {
      refuse(window, fill(window, 'normal', at * 10_000), at * 10_000)
      return window.bands.normal.window
    })
    expect(sizes).toEqual([8, 4, 2, 1, 1, 1])
  })

  it('makes the window grow by one job a window from there on', () => {
    const window = grown(16)
    refuse(window, fill(window))
    const now = 10_000
    const sizes = Array.from({ length: 3 }, () => round(window, 'normal', now))
    expect(sizes).toEqual([8, 8, 9])
  })

  it('is not undone by acceptances of what was sent before it', () => {
    const window = grown(16)
    const [first, ...others] = fill(window)
    refuse(window, first === undefined ? [] : [first])
    for (const send of others) noteAccepted(window, send)
    expect(window.bands.normal.window).toBe(8)
  })

  it('closes the window for a pause that doubles with each in a row, and begins anew after an acceptance', () => {
    const window = newSendWindow(64)
    let now = 0
    const pauses = Array.from({ length: 8 }, () => {
      refuse(window, fill(window, 'normal', now), now)
      const pause = (opensAt(window, 'normal', now) ?? now) - now
      now += pause
      return pause
    })
    expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000])
    const tried = noteSend(window, 'normal')
    noteAccepted(window, tried)
    noteEnd(window, tried)
    refuse(window, fill(window, 'normal', now), now)
    expect(window.bands.normal.closedUntil - now).toBe(100)
  })

  it('with a Retry-After closes the window until then, five minutes at most', () => {
    const window = newSendWindow(64)
    refuse(window, fill(window), 0, 30_000)
    expect([maySend(window, 'normal', 29_999), maySend(window, 'normal', 30_000)]).toEqual([false, true])
    refuse(window, fill(window, 'normal', 30_000), 30_000, 86_400_000)
    expect(opensAt(window, 'normal', 30_000)).toBe(330_000)
  })
})

describe('priorities', () => {
  it('have a window each', () => {
    const window = newSendWindow(64)
    expect(bands.map((priority) => fill(window, priority).length)).toEqual([1, 1, 1])
  })

  it('lower ones shrink and close when a higher one is refused; higher ones stay', () => {
    const window = newSendWindow(16)
    for (const priority of bands) grown(16, priority, window)
    refuse(window, fill(window, 'normal'), 0, 1000)
    expect(bands.map((priority) => window.bands[priority].window)).toEqual([16, 8, 8])
    expect(bands.map((priority) => maySend(window, priority, 0))).toEqual([true, false, false])
  })

  it('higher ones do not grow by what was on its way when a lower one was refused, but shrink by it', () => {
    const window = newSendWindow(64)
    grown(16, 'high', window)
    const [taken, refused, ...others] = fill(window, 'high')
    refuse(window, fill(window, 'low'))
    if (taken === undefined || refused === undefined) throw new Error('nothing was sent')
    noteAccepted(window, taken)
    expect(window.bands.high.window).toBe(16)
    refuse(window, [refused])
    expect(window.bands.high.window).toBe(8)
    expect(others).toHaveLength(14)
  })

  it('share a server of a fixed size so that batch work has what interactive work leaves', () => {
    const window = newSendWindow(64)
    const capacity = 16
    let there: Send[] = []
    let now = 0
    const step = (wanted: Readonly<Partial<Record<Priority, number>>>): Record<Priority, number> => {
      now += 10_000
      for (const send of there) noteEnd(window, send)
      there = []
      for (const priority of bands) {
        for (let job = 0; job < (wanted[priority] ?? 0) && maySend(window, priority, now); job += 1) {
          const send = noteSend(window, priority)
          if (there.length < capacity) {
            noteAccepted(window, send)
            there.push(send)
          } else {
            noteRefused(window, send, { now, retryAfterMs: null })
            noteEnd(window, send)
          }
        }
      }
      return {
        high: 0,
        normal: 0,
        low: 0,
        ...Object.fromEntries(bands.map((p) => [p, there.filter(({ priority }) => priority === p).length])),
      }
    }
    const only = Array.from({ length: 40 }, () => step({ low: 100 }).low)
    expect(Math.min(...only.slice(20))).toBeGreaterThanOrEqual(capacity / 2)
    const both = Array.from({ length: 40 }, () => step({ high: 12, low: 100 }))
    expect(both.slice(10).map(({ high }) => high)).toEqual(both.slice(10).map(() => 12))
    expect(Math.min(...both.slice(10).map(({ low }) => low))).toBeGreaterThanOrEqual(1)
  })
})
