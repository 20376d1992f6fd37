import { describeMisspelt, misspeltSettings, parseSettings, runProcess, safeLogging } from '@vision-queue/process'
import { pino } from 'pino'

import { consumerSettings } from './config.ts'
import { readRemoteKeys } from './fleet/remote-settings.ts'
import { consumerPart } from './part.ts'

/** The life of a consumer process, with its settings from the environment; see runProcess. */
export async function runConsumer(overrides: { engineEntry?: string } = {}): Promise<never> {
  return await runProcess(() => {
    const settings = parseSettings(consumerSettings, process.env)
    const log = pino({ ...safeLogging, level: settings.LOG_LEVEL, base: { app: 'consumer' } })
    for (const each of misspeltSettings([consumerSettings], process.env)) log.warn(each, describeMisspelt(each))
    return { log, parts: [consumerPart({ settings, log, remoteKeys: readRemoteKeys(process.env), ...overrides })] }
  })
}
