import { expect, test } from 'vitest'

import { probeProvider } from './provider-probe.ts'

test('the CPU can be used, and a provider that is not there is refused with a reason', async () => {
  expect(await probeProvider('cpu')).toBeNull()
  expect(await probeProvider('coreml')).toMatch(/can not be used \(coreml: .+\)/)
})
