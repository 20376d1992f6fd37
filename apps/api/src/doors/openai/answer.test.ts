import { expect, test } from 'vitest'

import { readAnswer } from './answer.ts'

const asked = { maxTokens: null, logprobs: true, topLogprobs: 3, writeLabel: (label: string) => label }

test('the score of an answer is its logprob, and the others are its alternatives', () => {
  const answers = [
    { answer: 'rot ü', score: 0.5 },
    { answer: 'blue', score: 0.25 },
    { answer: 'green', score: 0 },
  ]
  const { text, finishReason, logprobs } = readAnswer({ answers }, asked)
  expect([text, finishReason]).toEqual(['rot ü', 'stop'])
  const [token, ...more] = logprobs ?? []
  expect(more).toEqual([])
  expect(token).toMatchObject({ token: 'rot ü', logprob: Math.log(0.5), bytes: [...Buffer.from('rot ü')] })
  expect(token?.top_logprobs.map(({ token: name, logprob }) => [name, logprob])).toEqual([
    ['rot ü', Math.log(0.5)],
    ['blue', Math.log(0.25)],
    ['green', -9999],
  ])
  expect(readAnswer({ answers }, { ...asked, logprobs: false }).logprobs).toBeNull()
})

test('a verdict has the others as alternatives, the likeliest first', () => {
  const output = { label: 'no', confidence: 0.75, scores: { yes: 0.05, no: 0.75, maybe: 0.2 } }
  const { text, logprobs } = readAnswer(output, { ...asked, topLogprobs: 2 })
  expect([text, logprobs?.[0]?.top_logprobs.map(({ token }) => token)]).toEqual(['no', ['no', 'maybe']])
})

test('a model without an answer answers with an empty text', () => {
  expect(readAnswer({ labels: [] }, asked)).toMatchObject({ text: '', finishReason: 'stop', logprobs: null })
})

test('a text that is as long as it may be was cut, where the model does not tell', () => {
  const reason = (output: object, maxTokens: number | null): string =>
    readAnswer({ text: 'a red', ...output }, { ...asked, maxTokens }).finishReason
  expect(reason({ tokens: 3 }, 3)).toBe('length')
  expect(reason({ tokens: 3 }, 4)).toBe('stop')
  expect(reason({ tokens: 3 }, null)).toBe('stop')
  expect(reason({ tokens: 3, finish_reason: 'stop' }, 3)).toBe('stop')
})

test('tokens and their logprobs are as the model tells them', () => {
  const logprobs = [{ token: 'a', logprob: -0.1, bytes: [97], top_logprobs: [] }]
  const usage = { prompt_tokens: 9, text_tokens: 1, image_tokens: 8, completion_tokens: 1 }
  expect(readAnswer({ text: 'a', tokens: 1, finish_reason: 'stop', usage, logprobs }, asked)).toEqual({
    text: 'a',
    finishReason: 'stop',
    usage,
    logprobs,
    images: null,
    regions: null,
  })
})
