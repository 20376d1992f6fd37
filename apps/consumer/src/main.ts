import { runConsumer } from './run-consumer.ts'

void runConsumer()
