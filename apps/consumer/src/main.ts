import { letHeapGrow } from '@vision-queue/jobs'

import { runConsumer } from './run-consumer.ts'

letHeapGrow()
await runConsumer()
