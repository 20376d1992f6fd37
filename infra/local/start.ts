import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { describeMisspelt, misspeltSettings, parseSettings, SettingsError } from '@vision-queue/process'
import { startSettings } from './config.ts'
import { createLauncher, type AppCommand } from './launcher.ts'
import { onStopRequest } from './stop-requests.ts'
import { defaultBackoff } from './supervised-process.ts'

const { values } = parseArgs({
  options: {
    /** Reload an app when its source changes. */
    watch: { type: 'boolean', default: false },
    /** The programs to run, for tests of this one. */
    api: { type: 'string', default: 'apps/api/src/main.ts' },
    consumer: { type: 'string', default: 'apps/consumer/src/main.ts' },
    server: { type: 'string', default: 'apps/server/src/main.ts' },
  },
})

const bundleRunner = createRequire(import.meta.url).resolve('@vision-queue/bundles/run')

function app(main: string): AppCommand {
  const how = values.watch ? ['--watch', '--watch-preserve-output', '--import', 'tsx'] : [bundleRunner]
  return { file: process.execPath, args: [...how, main] }
}

function readSettings(): ReturnType<typeof parseSettings<typeof startSettings>> {
  try {
    return parseSettings(startSettings, process.env)
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    console.error(error.message)
    return process.exit(1)
  }
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const settings = readSettings()
for (const each of misspeltSettings([startSettings], process.env)) console.log(`[start] ${describeMisspelt(each)}`)
const launcher = createLauncher({
  settings,
  env: process.env,
  apps: { api: app(values.api), consumer: app(values.consumer), server: app(values.server) },
  root,
  redisCacheFolder: fileURLToPath(new URL('../../.vision-queue/redis-package', import.meta.url)),
  // One that only uses the service wants to hear of trouble; one who works on it wants to hear more.
  defaultLogLevel: values.watch ? 'info' : 'warn',
  backoff: defaultBackoff,
  stopDeadlineMs: settings.SHUTDOWN_TIMEOUT_MS + 5000,
  write: (line) => console.log(line),
})
// A closed terminal must not keep us from stopping in order.
process.stdout.on('error', () => undefined)
process.stderr.on('error', () => undefined)
onStopRequest({
  stop: () => launcher.stop(),
  kill: () => launcher.kill(),
  followParent: process.env['npm_lifecycle_event'] !== undefined,
})
void launcher.run().then((code) => process.exit(code))
