import { expect, test } from 'vitest'

import { createSharedAnswers } from './shared-answers.ts'

test('whoever asks the same while it is computed gets that answer; later ones start anew', async () => {
  const shared = createSharedAnswers<string>()
  let end: (answer: string) => void = () => {}
  const asked = ['a', 'a', 'a', 'b'].map(async (digest, index) =>
    shared.answer(digest, async () => {
      if (index === 0) return new Promise<string>((resolve) => (end = resolve))
      return `of ${index}`
    }),
  )
  expect(await asked[3]).toEqual({ answer: 'of 3', own: true })
  end('of 0')
  expect(await Promise.all(asked.slice(0, 3))).toEqual([
    { answer: 'of 0', own: true },
    { answer: 'of 0', own: false },
    { answer: 'of 0', own: false },
  ])
  expect(await shared.answer('a', async () => 'later')).toEqual({ answer: 'later', own: true })
})

test('a failure is the first one’s own: each of the others runs for itself', async () => {
  const shared = createSharedAnswers<string>()
  const first = shared.answer('d', async () => Promise.reject(new Error('its deadline')))
  const second = shared.answer('d', async () => 'red')
  await expect(first).rejects.toThrow('its deadline')
  expect(await second).toEqual({ answer: 'red', own: true })
})
