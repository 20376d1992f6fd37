import { engineOptionsSchema } from '@vision-queue/engine/messages'
import { parentChannel, startEngine } from '@vision-queue/engine/parts'

import { loadUnrulyModel } from './unruly-model.ts'

/** The program of an engine that runs the unruly model. */
const options = engineOptionsSchema.parse(JSON.parse(process.argv[2] ?? 'null'))
void startEngine({
  channel: parentChannel(),
  options,
  exit: (code) => process.exit(code),
  loadModel: async () => loadUnrulyModel(options),
})
