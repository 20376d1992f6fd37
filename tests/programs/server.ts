import { runServer } from '@vision-queue/server/run-server'

import { engineEntry } from './engine-entry.ts'

/** An API and a consumer in one process as they are, with engines by another program. */
void runServer({ engineEntry })
