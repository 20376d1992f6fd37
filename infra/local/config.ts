import { z } from 'zod'

import { integerSetting, redisUrlSetting } from '@vision-queue/process'

/** The settings of `npm start` itself. Everything else in the environment is handed on to the API and the consumers. */
export const startSettings = z.object({
  PORT: integerSetting(1, 65_535).default(3000).describe('The port of the API.'),
  HOST: z
    .string()
    .default('127.0.0.1')
    .describe('The address the API listens on: this machine only, unless it is 0.0.0.0 or another address of it.'),
  REDIS_URL: redisUrlSetting
    .unwrap()
    .optional()
    .describe('A Redis that already runs. Without it, one is started that keeps its data under DATA_DIR.'),
  DATA_DIR: z
    .string()
    .default('.vision-queue')
    .describe('The folder of the Redis that is started: accepted jobs and results survive there.'),
  CONSUMERS: integerSetting(0, 64)
    .default(1)
    .describe('How many consumers to start. One uses all of the machine; 0 where they run elsewhere.'),
  COMPOSITION: z
    .enum(['one', 'apart'], 'expected one or apart')
    .default('apart')
    .describe(
      'Whether the API and the first consumer are `one` process, in which a job that comes alone costs a tenth less CPU, ' +
        'or each is a process of its own, `apart`: then a busy service gets through more, and one goes on while the other ' +
        'is restarted. Engines are processes always.',
    ),
  SHUTDOWN_TIMEOUT_MS: integerSetting(0, 3_600_000)
    .default(10_000)
    .describe(
      'How long the API and the consumers take to finish what they hold, in milliseconds; they read it too. ' +
        'One that has not ended five seconds later is killed.',
    ),
})
export type StartSettings = z.infer<typeof startSettings>
