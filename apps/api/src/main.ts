import { describeMisspelt, misspeltSettings, parseSettings, runProcess, safeLogging } from '@vision-queue/process'
import { pino } from 'pino'

import { apiSettings } from './config.ts'
import { apiPart } from './part.ts'

void runProcess(() => {
  const settings = parseSettings(apiSettings, process.env)
  const log = pino({ ...safeLogging, level: settings.LOG_LEVEL, base: { app: 'api' } })
  for (const each of misspeltSettings([apiSettings], process.env)) log.warn(each, describeMisspelt(each))
  const onListening = (port: number): void => void process.send?.({ kind: 'listening', port })
  return { log, parts: [apiPart({ settings, log, onListening })] }
})
