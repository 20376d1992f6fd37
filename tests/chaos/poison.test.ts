import { expect, test } from 'vitest'

import { poison } from './poison.ts'
import { shortForm } from './scenario.ts'

test('a job that crashes, hangs or starves its engine fails alone, with a code, and its image is refused for a while', async () => {
  const findings = await poison.run(shortForm)
  expect(findings).toHaveLength(3)
  for (const { fault, figures, held } of findings) {
    expect({ fault, ...figures }).toMatchObject({
      lost: 0,
      duplicated: 0,
      stuck: 0,
      failed: 0,
      'the poison ended as': 'engine_crashed',
      'the same image again ended as': 'engine_crashed',
      'engines that it cost again': 0,
    })
    expect({ fault, held }).toEqual({ fault, held: true })
  }
}, 180_000)
