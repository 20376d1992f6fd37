import { fileURLToPath } from 'node:url'

import { startEngine } from '@vision-queue/engine/parts'

import { describeEnginePool } from '../test/conformance.ts'
import { loadUnrulyModel } from '../test/unruly-model.ts'
import { quiet, requestOf } from '../test/unruly-pool.ts'
import { createEnginePool } from './engine-pool.ts'
import { createInProcessEnginePool, type RunEngine } from './in-process.ts'

const common = { version: '1', intraOpThreads: 1, log: quiet }
const engineEntry = fileURLToPath(new URL('../test/unruly-engine.ts', import.meta.url))

const runUnruly: RunEngine = async ({ options, channel, exit }) =>
  startEngine({ channel, options, exit, loadModel: async () => loadUnrulyModel(options) })

describeEnginePool('forked', {
  requestOf,
  open: (options) => createEnginePool({ ...common, engines: 1, runTimeoutMs: 60_000, engineEntry, ...options }),
})

describeEnginePool('in process', {
  requestOf,
  open: (options) => createInProcessEnginePool({ ...common, runEngine: runUnruly, ...options }),
})
