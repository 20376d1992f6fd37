import { fileURLToPath } from 'node:url'

import { createEnginePool } from '../src/engine-pool.ts'

/** A program that opens a pool, says its engines' process ids, keeps one busy, and waits to be killed. */
const quiet = { info() {}, warn() {}, error() {} }
const pool = createEnginePool({
  modelFolder: '/nowhere',
  name: 'unruly',
  version: '1',
  engines: 2,
  intraOpThreads: 1,
  runTimeoutMs: 60_000,
  engineEntry: fileURLToPath(new URL('unruly-engine.ts', import.meta.url)),
  log: quiet,
})
await pool.ready
void pool.run({
  id: 'busy',
  images: [new Uint8Array()],
  input: { question: 'sleep 100' },
  parameters: {},
  deadlineAt: null,
})
process.stdout.write(`${JSON.stringify(pool.pids)}\n`)
