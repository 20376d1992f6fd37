import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['packages/*/src/**/*.test.ts', 'apps/*/src/**/*.test.ts', 'infra/**/*.test.ts', 'tests/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Where nobody watches, a test that failed once is run again: two shared cores lose races that tests must not.
    retry: process.env['CI'] === undefined ? 0 : 1,
    // Two cores are the smallest machine we test on, and every end-to-end file starts processes of its own.
    maxWorkers: 2,
  },
})
