import { runConsumer } from '@vision-queue/consumer/run-consumer'

import { engineEntry } from './engine-entry.ts'

/** A consumer as it is, with engines by another program. */
void runConsumer({ engineEntry })
