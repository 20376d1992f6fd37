import { fileURLToPath } from 'node:url'

import { runConsumer } from '@vision-queue/consumer/run-consumer'

/** A consumer as it is, with engines that sleep instead of computing. */
void runConsumer({ engineEntry: fileURLToPath(new URL('engine.ts', import.meta.url)) })
