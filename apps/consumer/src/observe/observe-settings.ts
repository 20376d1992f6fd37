import { integerSetting } from '@vision-queue/process'
import { z } from 'zod'

/** What a consumer tells of itself, and where. */
export const observeSettings = {
  CONSUMER_PORT: integerSetting(0, 65_535)
    .optional()
    .describe(
      'The TCP port of GET /health/live, /health/ready and /metrics of the consumer, for orchestrators and Prometheus; 0 takes a free one. Empty: none, nothing listens. Where `npm start` runs several consumers, the second one takes the next port, and so on.',
    ),
  CONSUMER_HOST: z
    .string()
    .default('127.0.0.1')
    .describe(
      'The address for CONSUMER_PORT. The default is for this machine only; in a container 0.0.0.0. What is told there names models and how many engines they have.',
    ),
  METRICS_TOKEN: z
    .string()
    .default('')
    .describe(
      'What opens /metrics of CONSUMER_PORT, sent as `Authorization: Bearer <token>`; the same as the API’s. Empty: it is open to whoever reaches the port.',
    ),
  PATH: z.string().optional().describe('The system’s own: where `nvidia-smi` is looked for.'),
  GPU_POLL_MS: integerSetting(0, 3_600_000)
    .default(10_000)
    .describe(
      'How often `nvidia-smi` is asked what the GPUs do, in milliseconds, where it is on PATH: for GET /metrics and GET /models/{name}. 0: never.',
    ),
}

/** Of nvidia-smi: no secrets. */
export function nvidiaEnvironment({
  PATH,
  LD_LIBRARY_PATH,
}: {
  PATH?: string | undefined
  LD_LIBRARY_PATH?: string | undefined
}): Record<string, string | undefined> {
  return { PATH, LD_LIBRARY_PATH }
}
