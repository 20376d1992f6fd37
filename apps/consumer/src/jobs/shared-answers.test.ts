import type { JobSignal } from '@vision-queue/process'
import { expect, test } from 'vitest'

import { createSharedAnswers } from './shared-answers.ts'

const never = new AbortController().signal

test('whoever asks the same while it is computed gets that answer; later ones start anew', async () => {
  const shared = createSharedAnswers<string>()
  let end: (answer: string) => void = () => {}
  const asked = ['a', 'a', 'a', 'b'].map(async (digest, index) =>
    shared.answer(
      digest,
      async () => {
        if (index === 0) return new Promise<string>((resolve) => (end = resolve))
        return `of ${index}`
      },
      never,
    ),
  )
  expect(await asked[3]).toEqual({ answer: 'of 3', own: true })
  end('of 0')
  expect(await Promise.all(asked.slice(0, 3))).toEqual([
    { answer: 'of 0', own: true },
    { answer: 'of 0', own: false },
    { answer: 'of 0', own: false },
  ])
  expect(await shared.answer('a', async () => 'later', never)).toEqual({ answer: 'later', own: true })
})

test('a failure is the first one’s own: each of the others runs for itself', async () => {
  const shared = createSharedAnswers<string>()
  const first = shared.answer('d', async () => Promise.reject(new Error('its deadline')), never)
  const second = shared.answer('d', async () => 'red', never)
  await expect(first).rejects.toThrow('its deadline')
  expect(await second).toEqual({ answer: 'red', own: true })
})

test('the one that runs is canceled: the others have its answer all the same', async () => {
  const shared = createSharedAnswers<string>()
  const [first, second] = [new AbortController(), new AbortController()]
  let end: (answer: string) => void = () => {}
  let wanted: JobSignal = never
  const leader = shared.answer(
    'd',
    async (signal) => {
      wanted = signal
      return new Promise<string>((resolve) => (end = resolve))
    },
    first.signal,
  )
  const run = async (): Promise<string> => 'a run of its own'
  const follower = shared.answer('d', run, second.signal)
  first.abort(new Error('canceled'))
  await expect(leader).rejects.toThrow('canceled')
  expect(wanted.aborted).toBe(false)
  const late = shared.answer('d', run, never)
  second.abort(new Error('canceled too'))
  await expect(follower).rejects.toThrow('canceled too')
  expect(wanted.aborted).toBe(false)
  end('shared')
  expect(await late).toEqual({ answer: 'shared', own: false })
})

test('a run that nobody wants any more is given up, and who comes then runs for itself', async () => {
  const shared = createSharedAnswers<string>()
  const canceling = new AbortController()
  let wanted: JobSignal = never
  const run = async (signal: JobSignal): Promise<string> => {
    wanted = signal
    return new Promise<string>(() => {})
  }
  const leader = shared.answer('d', run, canceling.signal)
  const follower = shared.answer('d', run, canceling.signal)
  canceling.abort(new Error('canceled'))
  await expect(leader).rejects.toThrow('canceled')
  await expect(follower).rejects.toThrow('canceled')
  expect(wanted.aborted).toBe(true)
  expect(await shared.answer('d', async () => 'anew', never)).toEqual({ answer: 'anew', own: true })
})
