import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { startSystem, type System } from '@vision-queue/test-support/system'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { readCommandBlocks } from './documented-commands.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const blocks = readCommandBlocks(root)

/** Commands that are not run, by how they begin, and why. A new command has to be run or to be listed here. */
const notRun: Readonly<Record<string, string>> = {
  'npm start': 'infra/local tests it',
  'MODEL_REPOSITORY=models npm start': 'infra/local tests npm start',
  'IMAGE_URLS=https ': 'infra/local tests npm start',
  'npm test': 'is what runs this',
  'npx pnpm@12.21.0 install': 'needs the network',
  'npm run dev': 'is npm start with another option',
  'docker ': 'needs a container engine; npm run proofs -- images',
  'ALLOW_ANONYMOUS=false docker compose': 'needs a container engine',
  'curl http://127.0.0.1:8080/health/ready': 'asks what docker compose started',
  'kubectl ': 'needs a cluster; npm run proofs -- kustomize pods',
  'npm run bench': 'takes ten minutes',
  'npm run -s vq -- models add': 'names a folder that there is not; apps/cli tests it',
  'npm run load': 'takes a minute; tests/e2e/load.test.ts runs it',
  'npm run -s vq -- keys revoke': 'names a key that there is not; apps/cli tests it',
  'npm run models:check': 'names a model that does not ship; packages/engine tests it',
  'REDIS_URL=redis://redis.internal:6379 ': 'names a host that there is not',
  'curl -H \'Content-Type: application/json\' -d \'{"input":{"image":"https://images.example.com':
    'fetches from the internet; apps/api/src/intake/submit-by-address.test.ts',
  'curl -F image=https://images.example.com': 'fetches from the internet',
  'curl -F model=squeezenet': 'names a model that does not ship',
  "curl -H 'Content-Type: application/json' -H 'Prefer: wait=10' localhost:3000/jobs -d '{\"model\": \"some\"":
    'names a model that does not ship; tests/e2e/tensors.test.ts submits its like',
}
const whyNotRun = (command: string): string | undefined =>
  Object.entries(notRun).find(([start]) => command.startsWith(start))?.[1]
const isRun = (command: string): boolean => /\bcurl\b|^export |^npm run -s vq -- keys /.test(command)

let system: System
/** Where the reader stands: all that is in the checkout, and a photo. */
let folder: string
let substitutions: [string | RegExp, string][]
let key: string
const adminKey = 'a'.repeat(40)

async function bash(script: string): Promise<string> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, CURL_HOME: folder, ADMIN_KEY: adminKey, KEY: key }
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], { cwd: folder, env, maxBuffer: 2 ** 26 })
  return stdout
}

/** 3 to 4 MB, as a phone takes it. Noise, which no encoder makes small. */
async function photo(): Promise<Buffer> {
  const [width, height] = [2400, 1800]
  const noise = sharp({
    create: { width, height, channels: 3, background: '#888', noise: { type: 'gaussian', mean: 128, sigma: 60 } },
  })
  return await noise.jpeg({ quality: 92 }).toBuffer()
}

/** Why the examples can't be run on this machine; null if they can. */
const lacking = await run('curl', ['--fail-with-body', '--version']).then(
  () => null,
  () => 'curl 7.76 or newer is not on PATH',
)
if (lacking !== null) console.warn(`Skipped: the documented commands, because ${lacking}.`)

beforeAll(async () => {
  if (lacking !== null) return
  system = await startSystem({
    apiEnv: { ADMIN_KEY: adminKey },
    consumerEnv: { MODELS: '*' },
    cluster: false,
  })
  folder = await mkdtemp(join(tmpdir(), 'vision-queue-reader-'))
  const entries = (await readdir(root)).filter((name) => !name.startsWith('.'))
  await Promise.all(entries.map(async (name) => await symlink(join(root, name), join(folder, name))))
  const picture = await photo()
  if (picture.length < 3_000_000 || picture.length > 6_000_000) throw new Error(`A photo of ${picture.length} bytes`)
  await writeFile(join(folder, 'picture.jpg'), picture)
  // What a reader would see by eye: an answer of 400 or more is a failure, and each answer's status stands behind it.
  await writeFile(
    join(folder, '.curlrc'),
    'silent\nshow-error\nfail-with-body\nwrite-out = "\\nstatus %{http_code}\\n"\n',
  )
  substitutions = [
    [/http:\/\/(127\.0\.0\.1|192\.0\.2\.7):3000/g, system.url],
    [/redis:\/\/127\.0\.0\.1:6379/g, system.redis.url],
    ['img_81d877...', `img_${createHash('sha256').update(picture).digest('hex')}`],
  ]
  key = ''
  const made = await bash(
    `REDIS_URL=${system.redis.url} npm run --silent vq -- keys create --name test --scopes submit,read`,
  )
  key = /vq_\w+/.exec(made)?.[0] ?? ''
  if (key === '') throw new Error(`No key in: ${made}`)
})
afterAll(async () => {
  if (lacking !== null) return
  await rm(folder, { recursive: true, force: true })
  await system.stop()
})

test('every command in README and docs is run here, or listed with the reason why it is not', () => {
  const commands = blocks.flatMap((block) => block.commands.map((command) => `${block.place} ${command}`))
  expect(commands.length).toBeGreaterThan(20)
  const unknown = blocks.flatMap(({ place, commands: all }) =>
    all
      .filter((command) => whyNotRun(command) === undefined && !isRun(command))
      .map((command) => `${place} ${command}`),
  )
  expect(unknown).toEqual([])
  const gone = Object.keys(notRun).filter(
    (start) => !blocks.some((block) => block.commands.some((command) => command.startsWith(start))),
  )
  expect(gone).toEqual([])
})

const runnable = blocks
  .map(({ place, commands }) => ({
    place,
    commands: commands.filter((command) => whyNotRun(command) === undefined && isRun(command)),
  }))
  .filter(({ commands }) => commands.some((command) => !command.startsWith('export ')))

test.skipIf(lacking !== null).each(runnable)('$place works with a photo of 3 MB', async ({ commands }) => {
  let script = commands.join('\n')
  for (const [shown, real] of substitutions) script = script.replaceAll(shown, real)
  const output = await bash(script)

  const curls = commands.filter((command) => /\bcurl\b/.test(command)).length
  expect(output.match(/^status 20[0-2]$/gm) ?? []).toHaveLength(curls)
  const accepted = [...output.matchAll(/"id":"(job_[^"]+)"/g)].map(([, id]) => id ?? '')
  const headers = script.includes('$KEY') ? { authorization: `Bearer ${key}` } : {}
  for (const id of new Set(accepted)) {
    const response = await fetch(`${system.url}/jobs/${id}?wait=30`, { headers })
    expect(await response.json()).toMatchObject({ id, status: 'succeeded' })
  }
  // The next example needs what this one has unloaded.
  const order = { method: 'POST', headers: { authorization: `Bearer ${adminKey}` } }
  if (script.includes('/unload')) await fetch(`${system.url}/models/shapes-vqa/load`, order)
})
