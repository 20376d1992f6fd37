import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { describeEnginePool } from '@vision-queue/engine-pool/test/conformance'
import { takeFate } from '@vision-queue/engine-pool/test/fates'
import { readRemoteModel } from '@vision-queue/models'
import { afterAll, beforeAll } from 'vitest'

import { type Asked, type FakeOpenAi, startFakeOpenAi } from '../test/fake-openai.ts'
import { refusing } from '../test/refusing-server.ts'
import { createRemoteEnginePool } from './remote-engine.ts'
import { createRemotePool } from './remote-pool.ts'

const quiet = { info() {}, warn() {}, error() {} }
let fake: FakeOpenAi
let root = ''
beforeAll(async () => {
  fake = await startFakeOpenAi()
  fake.answer = (asked) => void answerUnruly(asked)
  root = mkdtempSync(join(tmpdir(), 'remote-'))
})
afterAll(async () => {
  await fake.close()
  rmSync(root, { recursive: true })
})

/** Added to the tokens of an answer in steps, by which it is told from others. */
const stepped = 1_000_000

/** As the unruly model of the suite answers. */
async function answerUnruly({ question, reply, gone }: Asked): Promise<void> {
  const [word = '', number = ''] = question.split(' ')
  if (word === 'throw') return reply.json(500, { error: { message: 'a tensor of 12 values', code: 500 } })
  if (word === 'wait') await delay(Number(number))
  if (number !== 'steps') return reply.text(question)
  for (let step = 1; step <= Number(word) && !gone(); step += 1) {
    reply.piece(String(step % 10))
    await delay(10)
  }
  if (!gone()) reply.end('stop', { prompt_tokens: 3, completion_tokens: stepped + Number(word) })
}

describeEnginePool('of a server elsewhere', {
  kind: 'elsewhere',
  requestOf: (id, question) => ({
    id,
    images: [Uint8Array.from([1, 2, 3])],
    input: { prompt: question },
    parameters: {},
    deadlineAt: null,
  }),
  answerOf: ({ text, tokens }) => (Number(tokens) > stepped ? `${Number(tokens) - stepped} steps` : text),
  open({ name, modelFolder, ...told }) {
    if (name === 'unloadable') {
      const common = { name, version: '1', maxInFlight: 1, longestPauseMs: 100, log: quiet }
      return createRemotePool({ ...common, server: refusing('the folder is wrong'), ...told })
    }
    const folder = mkdtempSync(join(root, 'model-'))
    const engine = { kind: 'openai', url: fake.url, model: 'a-model', max_in_flight: 1 }
    writeFileSync(join(folder, 'model.json'), JSON.stringify({ engine }))
    const model = readRemoteModel({ name, version: '1', folder })
    if (model === null) throw new Error('the folder names no engine')
    const fateful = createFatefulPages(modelFolder)
    fake.pages = new Proxy(fake.pages, fateful)
    return createRemoteEnginePool({ model, hosts: [], keys: {}, runTimeoutMs: 60_000, log: quiet, ...told })
  },
})

/** The server is not ready while its fates last. */
function createFatefulPages(folder: string): ProxyHandler<FakeOpenAi['pages']> {
  return {
    get(pages, path: string) {
      if (path === '/health' && takeFate(folder) !== null) return { status: 503, body: '' }
      return pages[path]
    },
  }
}
