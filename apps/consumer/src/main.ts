import { letHeapGrow } from '@vision-queue/process'

import { runConsumer } from './run-consumer.ts'

letHeapGrow()
void runConsumer()
