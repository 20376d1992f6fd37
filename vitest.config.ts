import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['packages/*/src/**/*.test.ts', 'apps/*/src/**/*.test.ts', 'infra/**/*.test.ts', 'tests/**/*.test.ts'],
    // Without it ONNX Runtime leaves an empty mat-debug-<pid>.log in the system's folder for each process.
    env: { ORT_DISABLE_TELEMETRY: '1' },
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Where nobody watches, a test that failed once is run again: two shared cores lose races that tests must not.
    retry: process.env['CI'] === undefined ? 0 : 1,
    // Two cores are the smallest machine we test on, and every end-to-end file starts processes of its own.
    maxWorkers: 2,
  },
})
