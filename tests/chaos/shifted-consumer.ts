import { runConsumer } from '@vision-queue/consumer/run-consumer'

/** A consumer as it is, with engines by the program that ENGINE_ENTRY names. */
const engineEntry = process.env['ENGINE_ENTRY']
if (engineEntry === undefined) throw new Error('ENGINE_ENTRY is missing')
await runConsumer({ engineEntry })
