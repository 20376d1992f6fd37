import { startEngine } from './engine.ts'
import { engineOptionsSchema } from './engine-protocol.ts'
import { limitImageLibrary } from './images/image-preprocessing.ts'
import { loadModel } from './model.ts'
import { parentChannel } from './parent-channel.ts'

/** The program of an engine process: started by a pool, ended by it. */
const options = engineOptionsSchema.parse(JSON.parse(process.argv[2] ?? 'null'))
process.title = `engine ${options.name}@${options.version}`
limitImageLibrary()
void startEngine({
  channel: parentChannel(),
  loadModel: async (onStep) => loadModel(options, onStep),
  options,
  exit: (code) => process.exit(code),
})
