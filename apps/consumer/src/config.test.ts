import { parseSettings } from '@vision-queue/process'
import { expect, it } from 'vitest'

import { consumerSettings, toExecutionOptions } from './config.ts'

const parse = (env: Record<string, string>) => toExecutionOptions(parseSettings(consumerSettings, env))

it('runs on the CPU, and takes an order of providers with their options', () => {
  expect(parse({})).toEqual({
    providers: ['cpu'],
    requireProvider: null,
    variant: 'auto',
    deviceId: 0,
    providerOptions: {},
  })
  expect(
    parse({
      EXECUTION_PROVIDERS: 'cuda, webgpu,cpu',
      REQUIRE_PROVIDER: 'cuda',
      VARIANT: 'fp16',
      DEVICE_IDS: '1, 0',
      PROVIDER_OPTIONS: '{"webgpu":{"preferredLayout":"NHWC"}}',
    }),
  ).toMatchObject({ providers: ['cuda', 'webgpu', 'cpu'], requireProvider: 'cuda', variant: 'fp16', deviceId: 1 })
})

it.each([
  ['EXECUTION_PROVIDERS', 'gpu'],
  ['REQUIRE_PROVIDER', 'gpu'],
  ['VARIANT', 'bf16'],
  ['PROVIDER_OPTIONS', '{'],
  // Memory limits of CUDA would be dropped on the way: better no start than a limit that isn't one.
  ['PROVIDER_OPTIONS', '{"cuda":{"gpu_mem_limit":"1"}}'],
])('refuses %s=%s by name', (name, value) => {
  expect(() => parse({ [name]: value })).toThrow(name)
})
