import { parseSettings, SettingsError } from '@vision-queue/process'
import { VisionQueueError } from '@vision-queue/protocol'
import { openApiKeys } from '@vision-queue/queue/producer'

import { cliSettings } from './config.ts'
import { doctorUsage, runDoctor } from './doctor/run-doctor.ts'
import { parseKeyCommand, usage as keyUsage } from './key-command.ts'
import { modelUsage, parseModelCommand } from './model-command.ts'
import { runKeyCommand } from './run-key-command.ts'
import { runModelCommand } from './run-model-command.ts'
import { UsageError } from './usage-error.ts'

const note = (text: string): void => void process.stderr.write(`${text}\n`)
const result = (text: string): void => void process.stdout.write(`${text}\n`)

const usage = `${keyUsage}\n${modelUsage}${doctorUsage}`

/** Exit codes: 0 done, 1 not done, 2 not understood. */
async function main(): Promise<number> {
  const [topic, ...rest] = process.argv.slice(2)
  if (topic === 'models' && !rest.includes('--help')) {
    const { MODEL_REPOSITORY: repository, MODELS_ADD_MAX_BYTES: maxBytes } = parseSettings(cliSettings, process.env)
    return runModelCommand(parseModelCommand(rest), { repository, maxBytes, env: process.env }, { result, note })
  }
  if (topic === 'doctor' && !rest.includes('--help')) {
    if (rest.length > 0) throw new UsageError('vq doctor takes no words: it reads the environment.')
    return await runDoctor(process.env, { result, note })
  }
  const command = parseKeyCommand(process.argv.slice(2), Date.now())
  if (command.kind === 'help') {
    result(usage.trimEnd())
    return 0
  }
  const settings = parseSettings(cliSettings, process.env)
  const log = { info() {}, warn: (_: object, message: string) => note(message), error() {} }
  const commandTimeoutMs = settings.REDIS_COMMAND_TIMEOUT_MS
  const keys = openApiKeys({ redisUrl: settings.REDIS_URL, commandTimeoutMs, cacheMs: 0, log })
  try {
    await keys.hasUsable(commandTimeoutMs)
    return await runKeyCommand(command, keys, { result, note })
  } finally {
    keys.close()
  }
}

main().then(
  // ioredis would hold the process for two more seconds with a timer of its own.
  (code) => process.exit(code),
  (error: unknown) => complain(error),
)

function complain(error: unknown): never {
  if (error instanceof UsageError) {
    note(`${error.message}\n\n${usage.trimEnd()}`)
    process.exit(2)
  }
  const unreachable = error instanceof VisionQueueError && error.code === 'queue_unavailable'
  const message = error instanceof SettingsError ? error.message : error instanceof Error ? error.stack : String(error)
  note(unreachable ? 'Redis can not be reached or does not let this in: is REDIS_URL right?' : (message ?? ''))
  process.exit(1)
}
