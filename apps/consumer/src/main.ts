import { letHeapGrow } from '@vision-queue/transport'

import { runConsumer } from './run-consumer.ts'

letHeapGrow()
await runConsumer()
