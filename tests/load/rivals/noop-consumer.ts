import { fileURLToPath } from 'node:url'

import { runConsumer } from '@vision-queue/consumer/run-consumer'

/** A consumer as it is, with engines that compute nothing. */
await runConsumer({ engineEntry: fileURLToPath(new URL('noop-engine.ts', import.meta.url)) })
