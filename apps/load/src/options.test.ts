import { expect, test } from 'vitest'

import { helpText, parseOptions, UsageError } from './options.ts'

test('durations, thinking times and inputs are read in the units people write them in', () => {
  const options = parseOptions(['--duration', '5m', '--warm-up', '500ms', '--think', '0.5-2', '--input', 'text=a=b'])

  expect(options).toMatchObject({
    duration: 300_000,
    'warm-up': 500,
    think: { min: 500, max: 2000 },
    input: [['text', 'a=b']],
    url: 'http://127.0.0.1:3000',
    repeat: false,
  })
})

test.each([
  [['--rate', '0'], '--rate:'],
  [['--clients', 'many'], '--clients:'],
  [['--think', '2-1'], '--think: expected the shorter time first'],
  [['--duration', 'soon'], '--duration: expected a duration'],
  [['--url', 'localhost'], '--url: expected an address'],
  [['--rate', '5', '--clients', '2'], 'exclude each other'],
  [['--rate', '5', '--think', '1-2'], '--think goes with --clients'],
  [['--input', 'question'], '--input: expected NAME=VALUE'],
  [['--speed', '9'], '--speed'],
])('%j is refused with what is wrong', (args, message) => {
  expect(() => parseOptions(args)).toThrow(UsageError)
  expect(() => parseOptions(args)).toThrow(message)
})

test('--help tells of every option', () => {
  expect(parseOptions(['--help'])).toBeNull()
  for (const name of ['--url', '--clients', '--rate', '--think', '--images', '--question', '--report']) {
    expect(helpText()).toContain(name)
  }
})
