import { apiSettings } from '@vision-queue/api/config'
import { apiPart } from '@vision-queue/api/part'
import { consumerSettings } from '@vision-queue/consumer/config'
import { consumerPart } from '@vision-queue/consumer/part'
import { readRemoteKeys } from '@vision-queue/consumer/remote-keys'
import { describeMisspelt, misspeltSettings, parseBoth, runProcess, safeLogging } from '@vision-queue/process'
import { openFailFastConnection } from '@vision-queue/redis'
import { pino } from 'pino'

/** The life of a process that is an API and a consumer, with the settings of both from the environment; see runProcess. */
export async function runServer(overrides: { engineEntry?: string } = {}): Promise<never> {
  return await runProcess(() => {
    const [api, consumer] = parseBoth(apiSettings, consumerSettings, process.env)
    const logOf = (app: string) => pino({ ...safeLogging, level: api.LOG_LEVEL, base: { app } })
    for (const each of misspeltSettings([apiSettings, consumerSettings], process.env)) {
      logOf('server').warn(each, describeMisspelt(each))
    }
    const onListening = (port: number): void => void process.send?.({ kind: 'listening', port })
    // One connection for the job client and for the consumer: what the API adds is taken by the call that adds it.
    const redis = openFailFastConnection({
      redisUrl: api.REDIS_URL,
      commandTimeoutMs: api.REDIS_COMMAND_TIMEOUT_MS,
      log: logOf('api'),
      name: 'api',
    })
    return {
      log: logOf('server'),
      parts: [
        apiPart({ settings: api, log: logOf('api'), redis, onListening }),
        consumerPart({
          settings: consumer,
          remoteKeys: readRemoteKeys(process.env),
          log: logOf('consumer'),
          addsBy: redis,
          ...overrides,
        }),
      ],
    }
  })
}
