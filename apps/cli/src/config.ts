import { integerSetting, redisUrlSetting } from '@vision-queue/process'
import { z } from 'zod'

/** What the command line tool reads from its environment: where the keys are. */
export const cliSettings = z.object({
  REDIS_URL: redisUrlSetting,
  REDIS_COMMAND_TIMEOUT_MS: integerSetting(10, 60_000)
    .default(5000)
    .describe('How long Redis may take to be reached and to answer one command, in milliseconds.'),
})
