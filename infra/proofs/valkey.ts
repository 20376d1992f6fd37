import { spawn } from 'node:child_process'
import { once } from 'node:events'

import { findProgram, need, root, run } from './commands.ts'
import { Skipped, type Proof } from './proof.ts'

/** What speaks to Redis in its own ways: scripts, streams, expiry, restarts, refusals. The rest is HTTP and models. */
const tests = [
  'packages/queue',
  'packages/blobs',
  'packages/bullmq-batching',
  'packages/redis',
  'tests/e2e/idempotency.test.ts',
  'tests/e2e/jobs-under-control.test.ts',
  'tests/e2e/queue-parts.test.ts',
  'tests/e2e/redis-down.test.ts',
  'tests/e2e/uploaded-images.test.ts',
]

/** The tests of the queue and some end-to-end ones on another server. CI has them on Redis, and not twice. */
export const valkey: Proof = {
  name: 'valkey',
  title: 'the tests of queue and blobs, and the end-to-end ones that lean on Redis most, pass on Valkey',
  short: false,
  async run(say) {
    await need('valkey-server').catch((error: unknown) => {
      if (!(error instanceof Skipped)) throw error
      throw new Skipped(
        'valkey-server missing (Debian 12: from bookworm-backports; later: apt-get install valkey-server).',
      )
    })
    const server = (await findProgram('valkey-server')) ?? 'valkey-server'
    const version = await run(server, ['--version'])
    say(version)
    const env = { ...process.env, TEST_REDIS: server }
    const vitest = spawn('npx', ['vitest', 'run', ...tests], { cwd: root, env, stdio: 'inherit' })
    const [code]: unknown[] = await once(vitest, 'exit')
    if (code !== 0) throw new Error(`The tests ended with ${String(code)} on ${version}.`)
  },
}
