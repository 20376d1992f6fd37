import { median, percentile } from '@vision-queue/load/statistics'

import { clientsPart, type Window } from './window.ts'

/** One window of each subject, one after the other, by the subjects' names. */
export type Round = ReadonlyMap<string, Window>

/** Above this share of the cores in the hands of others a round says nothing. */
export const mostOthersShare = 0.15

/** The rounds that figures are taken from. */
export interface Judged {
  rounds: readonly Round[]
  /** Null: there is a verdict. Otherwise why there is none, such as `neighbours took 34 %`. */
  doubt: string | null
}

/** Whether others left the machine alone in every window of a round. */
export function isQuiet(round: Round): boolean {
  return loudest(round) <= mostOthersShare
}

/**
 * Whether to go on: until there are `wanted` quiet rounds, and not beyond twice as many rounds, nor once so
 * many were loud that the quiet ones can't be had.
 */
export function needsMore(rounds: readonly Round[], wanted: number): boolean {
  const quiet = rounds.filter(isQuiet).length
  return quiet < wanted && rounds.length - quiet <= wanted
}

/**
 * With enough quiet rounds the figures are theirs, and the others are left out. Else the figures are taken from
 * all rounds, to be seen but not judged.
 */
export function judge(rounds: readonly Round[], wanted: number): Judged {
  const quiet = rounds.filter(isQuiet)
  if (quiet.length >= wanted) return { rounds: quiet, doubt: null }
  return { rounds, doubt: neighbours(median(rounds.filter((round) => !isQuiet(round)).map(loudest))) }
}

/** For measurements that are not cut in rounds: why there is no verdict where others took too much, else null. */
export function doubtOf(othersShares: readonly number[]): string | null {
  const share = median(othersShares)
  return share <= mostOthersShare ? null : neighbours(share)
}

function neighbours(share: number): string {
  return `neighbours took ${(share * 100).toFixed(0)} %`
}

function loudest(round: Round): number {
  return Math.max(...[...round.values()].map((window) => window.othersShare))
}

/** The windows of one subject. Throws where it has none. */
export function windowsOf(rounds: readonly Round[], name: string): Window[] {
  const windows = rounds.flatMap((round) => round.get(name) ?? [])
  if (windows.length === 0) throw new Error(`${name} was not measured`)
  return windows
}

/** By nearest rank, of 8 values the second smallest: noise only adds, so the low ones are nearest to the truth. */
export function lowerQuartile(values: readonly number[]): number {
  return percentile(values, 0.25)
}

/** Jobs a second, as the lower quartile of the time that a job took. */
export function ratePerSecond(windows: readonly Window[]): number {
  return 1 / lowerQuartile(windows.map((window) => window.seconds / window.jobs))
}

/** A job's CPU time, with the parts of the window in which it was measured. */
export interface Cost {
  us: number
  parts: Readonly<Record<string, number>>
}

/** The lower quartile of what a job costs in all parts but those left out. The load generator is always left out. */
export function costOf(windows: readonly Window[], without: readonly string[] = []): Cost {
  const costs = windows.map(({ cpuUs }) => {
    const parts = Object.entries(cpuUs).filter(([part]) => part !== clientsPart && !without.includes(part))
    return { us: parts.reduce((sum, [, us]) => sum + us, 0), parts: cpuUs }
  })
  const us = lowerQuartile(costs.map((cost) => cost.us))
  return { us, parts: costs.find((cost) => cost.us === us)?.parts ?? {} }
}

/** The lower quartile of a time that windows tell; null where one of them doesn't. */
export function timeOf(windows: readonly Window[], which: 'p50Ms' | 'p99Ms' | 'beyondP50Ms'): number | null {
  const times = windows.flatMap((window) => window[which] ?? [])
  return times.length === windows.length ? lowerQuartile(times) : null
}
