import { fileURLToPath } from 'node:url'

import { runServer } from '@vision-queue/server/run-server'

/** API and consumer in one process as they are, with engines that compute nothing. */
await runServer({ engineEntry: fileURLToPath(new URL('noop-engine.ts', import.meta.url)) })
