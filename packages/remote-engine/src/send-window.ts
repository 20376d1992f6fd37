import type { Priority } from '@vision-queue/protocol'

/** The most urgent first. */
export const bands = ['high', 'normal', 'low'] as const satisfies readonly Priority[]

/** What is known of one priority's jobs at the server. */
export interface Band {
  /** So many may be there at once; a fraction waits until it is a whole one. At least 1, which tries whether there is room. */
  window: number
  /** Below it the window grows by one an acceptance, above it by one a window. */
  threshold: number
  inFlight: number
  /** Acceptances of what was sent before do not make the window grow. */
  growsFrom: number
  /** Refusals of what was sent before do not make it shrink: they are of the flight that it shrank for. */
  shrinksFrom: number
  /** Nothing is sent before. */
  closedUntil: number
  /** Times that it shrank with no acceptance since. */
  refusals: number
}

/**
 * How many jobs a server is sent at once, found by what it says to them: additive increase, multiplicative decrease, as
 * TCP finds the speed of a line. Plain data; the functions of this file change it.
 */
export interface SendWindow {
  readonly bands: Readonly<Record<Priority, Band>>
  /** However well it goes, no band has more. */
  readonly most: number
  /** Sends so far, of all bands. */
  sent: number
}

/** A job at the server. */
export interface Send {
  readonly priority: Priority
  readonly order: number
}

/** By the clock that `now` is of, in milliseconds. */
interface Refusal {
  now: number
  /** What the server said; null: nothing. */
  retryAfterMs: number | null
}

const firstPauseMs = 100
const longestPauseMs = 5000
/** A server that wants to be left alone for longer is asked again all the same. */
const longestRetryAfterMs = 300_000

/** A window of one for each priority. */
export function newSendWindow(most: number): SendWindow {
  const band = (): Band => ({
    window: 1,
    threshold: Infinity,
    inFlight: 0,
    growsFrom: 0,
    shrinksFrom: 0,
    closedUntil: 0,
    refusals: 0,
  })
  return { bands: { high: band(), normal: band(), low: band() }, most, sent: 0 }
}

/** Whether a job of this priority may be sent now. */
export function maySend(window: SendWindow, priority: Priority, now: number): boolean {
  const band = window.bands[priority]
  return hasRoom(band) && band.closedUntil <= now
}

/** When a band that has room opens again; null where only an end of what is there makes room, or it is open. */
export function opensAt(window: SendWindow, priority: Priority, now: number): number | null {
  const band = window.bands[priority]
  return hasRoom(band) && band.closedUntil > now ? band.closedUntil : null
}

function hasRoom({ inFlight, window }: Band): boolean {
  return inFlight < Math.floor(window)
}

/** Notes that a job is sent. */
export function noteSend(window: SendWindow, priority: Priority): Send {
  const band = window.bands[priority]
  band.inFlight += 1
  window.sent += 1
  return { priority, order: window.sent }
}

/** The server has taken it. A window of which less than half is in use does not grow: nothing says that more would do. */
export function noteAccepted(window: SendWindow, { priority, order }: Send): void {
  const band = window.bands[priority]
  if (order <= band.shrinksFrom) return
  band.refusals = 0
  if (order <= band.growsFrom || 2 * band.inFlight < Math.floor(band.window)) return
  const more = band.window < band.threshold ? 1 : 1 / band.window
  band.window = Math.min(window.most, band.window + more)
}

/**
 * The server had no room for it. Its window is halved, once for all that was at the server then, and with it those of
 * lower priorities; those of higher ones do not grow by what is on its way. No band's is sent before the server's
 * Retry-After, or a pause that doubles where it said none, down from this one.
 */
export function noteRefused(window: SendWindow, { priority, order }: Send, { now, retryAfterMs }: Refusal): void {
  const band = window.bands[priority]
  const isFirst = order > band.shrinksFrom
  if (isFirst) {
    const from = bands.indexOf(priority)
    for (const [place, name] of bands.entries()) {
      const each = window.bands[name]
      each.growsFrom = window.sent
      if (place < from) continue
      each.shrinksFrom = window.sent
      each.window = Math.max(1, each.window / 2)
      each.threshold = each.window
      each.refusals += 1
    }
  }
  const pauseMs =
    retryAfterMs === null
      ? isFirst
        ? Math.min(longestPauseMs, firstPauseMs * 2 ** (band.refusals - 1))
        : 0
      : Math.min(longestRetryAfterMs, retryAfterMs)
  for (const name of bands.slice(bands.indexOf(priority))) {
    const each = window.bands[name]
    each.closedUntil = Math.max(each.closedUntil, now + pauseMs)
  }
}

/** It is at the server no more, however it went. */
export function noteEnd(window: SendWindow, { priority }: Send): void {
  window.bands[priority].inFlight -= 1
}
