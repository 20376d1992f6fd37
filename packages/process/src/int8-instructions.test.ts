import { expect, it } from 'vitest'

import { findInt8Instructions } from './int8-instructions.ts'

const x86 = (...flags: string[]): string =>
  `processor\t: 0\nmodel name\t: A CPU\nflags\t\t: fpu avx2 ${flags.join(' ')} fsrm\n\n`
const arm = (...features: string[]): string => `processor\t: 0\nFeatures\t: fp asimd ${features.join(' ')}\n\n`

it.each([
  ['AVX512 with VNNI', x86('avx512f', 'avx512_vnni'), 'avx512_vnni'],
  ['AVX with VNNI', x86('avx_vnni'), 'avx_vnni'],
  ['AMX', x86('avx512_vnni', 'amx_int8'), 'amx_int8'],
  ['AVX2 or AVX512 alone', x86('avx512f'), null],
  ['ARM with dot products', arm('asimddp'), 'asimddp'],
  ['ARM without', arm('crc32'), null],
  ['no list of flags', 'processor : 0\n', null],
  ['no file', '', null],
])('finds what counts for int8: %s', (_, cpuinfo, found) => {
  expect(findInt8Instructions(cpuinfo)).toBe(found)
})

it('counts what all processors have, for a thread may run on any of them', () => {
  expect(findInt8Instructions(arm('asimddp', 'i8mm') + arm('asimddp'))).toBe('asimddp')
  expect(findInt8Instructions(arm('asimddp') + arm())).toBeNull()
  expect(findInt8Instructions(x86('avx_vnni') + x86('avx_vnni'))).toBe('avx_vnni')
})
