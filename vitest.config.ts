import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take more than 20 s, the longest first. Small as some are, they would come last, one of them at the end alone. */
const long = [
  'tests/e2e/same-answers.test.ts',
  'packages/engine-pool/src/engine-pool.test.ts',
  'tests/e2e/faults.test.ts',
  'infra/local/broken-data.test.ts',
  'infra/local/start.test.ts',
  'infra/local/data-folder.test.ts',
  'apps/cli/src/models.test.ts',
  'tests/e2e/models.test.ts',
  'tests/e2e/documented-commands.test.ts',
  'tests/e2e/load.test.ts',
  'tests/e2e/lost-engines.test.ts',
  'tests/e2e/cluster.test.ts',
  'tests/e2e/redis-refuses.test.ts',
  'tests/e2e/webgpu.test.ts',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = long.findIndex((name) => moduleId.endsWith(`/${name}`))
      return place === -1 ? long.length : place
    }
    // oxlint-disable-next-line unicorn/no-array-sort -- a sequencer's, not an array's
    const sorted = await super.sort(files)
    // This keeps the order of the rest.
    return sorted.toSorted((one, other) => rank(one) - rank(other))
  }
}

/** They load hundreds of modules for tests of milliseconds, and leave nothing behind in them: one process runs many. */
const together = [
  ...['api', 'consumer', 'load'].map((name) => `apps/${name}/src/**/*.test.ts`),
  ...['blobs', 'engine', 'guarded-fetch', 'process', 'queue', 'remote-engine'].map(
    (name) => `packages/${name}/src/**/*.test.ts`,
  ),
]
/** Each has a whole system that is struck and has to come back in time: beside one another they wait for a core instead. */
const chaos = 'tests/chaos/**/*.test.ts'
const all = ['packages/*/src/**/*.test.ts', 'apps/*/src/**/*.test.ts', 'infra/**/*.test.ts', 'tests/**/*.test.ts']

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'apart', include: all, exclude: ['**/node_modules/**', ...together, chaos] } },
      { extends: true, test: { name: 'together', include: together, isolate: false } },
      { extends: true, test: { name: 'chaos', include: [chaos], maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
    sequence: { sequencer: LongestFirst },
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
