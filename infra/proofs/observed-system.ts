import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

import { freePort } from '@vision-queue/local/free-port'
import { jobResponseSchema } from '@vision-queue/protocol'
import { forms } from '@vision-queue/test-support/client'
import { readExamples } from '@vision-queue/test-support/examples'
import { type RunningProcess, startSystem, type System } from '@vision-queue/test-support/system'

/** Two APIs and two consumers, each with a port for Prometheus, on a machine that seems to have a GPU. */
export interface ObservedSystem {
  system: System
  /** Addresses by the names in prometheus.yml. */
  targets: Record<'vision-queue-api' | 'vision-queue-consumer', string[]>
  /** All that were started, those that died too. */
  consumers: RunningProcess[]
  /** One more consumer, at the address of one that died. */
  replaceConsumer(): Promise<RunningProcess>
  /** Keeps all kinds of requests coming until it is stopped; `accepted` counts the jobs. */
  startLoad(): { readonly accepted: number; stop(): Promise<void> }
  stop(): Promise<void>
}

/** One GPU, as nvidia-smi tells of it. */
const nvidiaSmi = `#!/bin/sh
echo '0, GPU-00000000, Fake, 40, 1024, 24576, 60, 120.5'
`

export async function startObservedSystem(): Promise<ObservedSystem> {
  const folder = await mkdtemp(join(tmpdir(), 'vision-queue-observed-'))
  await writeFile(join(folder, 'nvidia-smi'), nvidiaSmi)
  await chmod(join(folder, 'nvidia-smi'), 0o755)
  const system = await startSystem({
    apis: 2,
    consumers: 0,
    composition: 'apart',
    apiEnv: { MODELS_REFRESH_MS: '200' },
    consumerEnv: {
      MODELS: 'shapes-vqa,shapes-chat',
      PATH: `${folder}${delimiter}${process.env['PATH'] ?? ''}`,
      GPU_POLL_MS: '1000',
      // Answers are kept, so that some come from memory, and a dead consumer's jobs are soon another's.
      ANSWER_TTL_MS: '60000',
      LOCK_MS: '2000',
      STALLED_CHECK_MS: '500',
      ENGINES: '1',
    },
  })
  const stop = async (): Promise<void> => {
    await system.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const ports = [await freePort(), await freePort()]
    const [first = 0] = ports
    const consumerAt = async (port: number): Promise<RunningProcess> =>
      system.addConsumer({ CONSUMER_PORT: String(port) })
    const consumers: RunningProcess[] = []
    // One after the other: each is waited for a minute at most, and two that load models at once take longer.
    for (const port of ports) {
      consumers.push(await consumerAt(port))
      await system.waitForConsumers(consumers.length)
    }
    return {
      system,
      consumers,
      targets: {
        'vision-queue-api': system.apis.map(({ url }) => new URL(url).host),
        'vision-queue-consumer': ports.map((port) => `127.0.0.1:${port}`),
      },
      async replaceConsumer() {
        const consumer = await consumerAt(first)
        consumers.push(consumer)
        return consumer
      },
      startLoad: () => startLoad(system),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function startLoad({ apis }: System): { readonly accepted: number; stop(): Promise<void> } {
  const examples = readExamples()
  const load = { accepted: 0, going: true, turn: 0 }
  const round = async (): Promise<void> => {
    const { url = '' } = apis[load.turn % apis.length] ?? {}
    const example = examples[load.turn % examples.length]
    load.turn += 1
    if (example === undefined) throw new Error('There are no examples.')
    // Bytes after the end of an image make it a new question.
    const fresh = Buffer.concat([example.image, Buffer.from(String(load.turn))])
    const responses = await Promise.all([
      forms.raw(url, { ...example, image: fresh }),
      forms.json(url, example),
      // Broken where only an engine sees it.
      forms.raw(url, { ...example, image: example.image.subarray(0, 200) }),
      fetch(`${url}/jobs`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }),
      ...(load.turn % 20 === 1 ? [chat(url, fresh, example.type)] : []),
    ])
    load.accepted += responses.slice(0, 3).filter(({ status }) => status === 202 || status === 200).length
    const [response] = responses
    if (response?.status === 202) await watch(url, jobResponseSchema.parse(await response.json()).urls.events)
  }
  const rounds = async (): Promise<void> => {
    while (load.going) {
      // A consumer or all of them may be away.
      await round().catch(() => {})
    }
  }
  const done = Promise.all([rounds(), rounds()])
  return {
    get accepted() {
      return load.accepted
    },
    async stop() {
      load.going = false
      await done
    },
  }
}

async function chat(url: string, image: Buffer, type: string): Promise<Response> {
  const content = [
    { type: 'image_url', image_url: { url: `data:${type};base64,${image.toString('base64')}` } },
    { type: 'text', text: 'What colour is the shape?' },
  ]
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'shapes-chat', max_tokens: 8, messages: [{ role: 'user', content }] }),
    signal: AbortSignal.timeout(20_000),
  })
}

/** Reads a job's events to their end, or until five seconds are over. */
async function watch(url: string, events: string): Promise<void> {
  await (await fetch(`${url}${events}`, { signal: AbortSignal.timeout(5000) })).text()
}
