import { fileURLToPath } from 'node:url'

import { runConsumer } from '@vision-queue/consumer/run-consumer'

/** A consumer as it is, with engines whose jobs have none to three images. */
void runConsumer({ engineEntry: fileURLToPath(new URL('engine.ts', import.meta.url)) })
