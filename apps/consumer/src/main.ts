import { runConsumer } from './run-consumer.ts'

await runConsumer()
