import { readFile } from 'node:fs/promises'

import { expect, test } from 'vitest'
import { z } from 'zod'

import { release } from './release.ts'

test('the release that processes tell is that of package.json', async () => {
  const text = await readFile(new URL('../../../package.json', import.meta.url), 'utf8')
  expect(z.object({ version: z.string() }).parse(JSON.parse(text)).version).toBe(release)
})
