import { setTimeout as sleep } from 'node:timers/promises'

import { readProcessTable, treeOf } from '../processes.ts'
import type { Subject } from '../subjects/subject.ts'
import { lookAt } from './look.ts'
import { type Judged, judge, needsMore, type Round } from './rounds.ts'
import { type Tally, type Window, windowOf } from './window.ts'

/** How windows are cut. */
export interface WindowPlan {
  /** Quiet rounds that are wanted; twice as many are tried where neighbours are loud. */
  rounds: number
  windowMs: number
  /** Under load before a window begins, so that connections stand and caches are warm. */
  settleMs: number
  /** Jobs of each subject before its first window. */
  warmUpJobs: number
}

/**
 * Measures subjects beside each other: in each round one window of every subject, each round begun with another
 * one, so that a slow spell of the machine meets all of them. Only one is under load at a time.
 */
export async function measureRounds(
  subjects: readonly Subject[],
  plan: WindowPlan,
  say: (line: string) => void,
): Promise<Judged> {
  const rounds: Round[] = []
  while (needsMore(rounds, plan.rounds)) {
    const first = rounds.length % subjects.length
    const round = new Map<string, Window>()
    for (const subject of [...subjects.slice(first), ...subjects.slice(0, first)]) {
      round.set(subject.name, await measureWindow(subject, plan))
    }
    rounds.push(round)
  }
  const judged = judge(rounds, plan.rounds)
  say(
    `${judged.rounds.length} of ${rounds.length} rounds${judged.doubt === null ? '' : `; no verdict: ${judged.doubt}`}`,
  )
  return judged
}

/** One window of a subject. Throws where no job was done in a minute. */
export async function measureWindow(
  subject: Subject,
  { windowMs: whole, settleMs }: Pick<WindowPlan, 'windowMs' | 'settleMs'>,
): Promise<Window> {
  const windowMs = subject.brief === true ? whole / 2 : whole
  await subject.go()
  try {
    await sleep(settleMs)
    await untilDone(subject, subject.settleJobs ?? 0)
    const parts = subject.parts(readProcessTable())
    await subject.tally()
    const before = lookAt(treeOf(process.pid))
    const late = before.atMs + 60_000
    let tally: Tally
    // A machine that is far too busy may let no job through: then the window is longer.
    do {
      await sleep(windowMs)
      tally = await subject.tally()
    } while (tally.jobs === 0 && performance.now() < late)
    const window = windowOf(before, lookAt(treeOf(process.pid)), parts, tally)
    if (tally.jobs === 0) throw new Error(`${subject.name}: no job was done in a minute (${tally.failure})`)
    return window
  } finally {
    await subject.pause()
  }
}

/** Load on a subject until so many jobs are done: V8 compiles code while it runs, by calls and not by seconds. */
export async function warmUp(subject: Subject, jobs: number): Promise<void> {
  await subject.go()
  try {
    await untilDone(subject, jobs)
  } finally {
    await subject.pause()
  }
}

/** Waits until a subject that is under load has done so many jobs from now on. Throws after five minutes. */
async function untilDone(subject: Subject, jobs: number): Promise<void> {
  const late = performance.now() + 300_000
  for (let done = 0; done < jobs;) {
    await sleep(20)
    const { jobs: more, failure } = await subject.tally()
    done += more
    if (performance.now() > late) {
      throw new Error(`${subject.name}: only ${done} of ${jobs} jobs in 5 minutes (${failure})`)
    }
  }
}
