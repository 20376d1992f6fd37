import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { freePort } from '@vision-queue/local/free-port'
import { startSystem, type System } from '@vision-queue/test-support/system'

import { afterAll, beforeAll, expect, test } from 'vitest'

const program = fileURLToPath(new URL('../../apps/load/bin/vq-load.js', import.meta.url))
const examples = fileURLToPath(new URL('../../models/shapes-vqa/1/examples', import.meta.url))
const question = ['--question', 'What is the color of the little cross?']

let system: System
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vq-load-'))
  system = await startSystem()
})
afterAll(async () => {
  await system.stop()
  await rm(folder, { recursive: true })
})

/** From a folder of its own, as a user would start it. */
async function vqLoad(...args: string[][]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [program, ...args.flat()],
      { cwd: folder, env: {} },
      (_error, stdout, stderr) => {
        resolve({ code: child.exitCode ?? -1, output: stdout + stderr })
      },
    )
  })
}

test.each([
  ['clients', ['--clients', '4', '--think', '0.01-0.05']],
  ['a rate', ['--rate', '30']],
])('vq-load puts %s on a service, tells how it goes and writes a report', async (name, pace) => {
  const report = join(folder, `${name}.html`)
  const target = ['--url', system.url, '--images', examples, '--api-key', 'a-secret', ...question]
  const { code, output } = await vqLoad(target, pace, ['--duration', '2s', '--warm-up', '1s', '--report', report])

  expect(output).toMatch(/^ +2 s +\d+ jobs\/s {2}p50 [\d.]+ ms/m)
  expect(output).toMatch(/errors +0$/m)
  expect(output).toMatch(/succeeded +[1-9]/)
  expect(code).toBe(0)
  const page = await readFile(report, 'utf8')
  expect(page).toContain('<svg')
  expect(page + output).not.toContain('a-secret')
})

test('vq-load says what is wrong before it puts a load on anything', async () => {
  const images = ['--images', examples]
  const target = ['--url', system.url]
  const nobody = await vqLoad(['--url', `http://127.0.0.1:${await freePort()}`], images, question)
  expect(nobody).toMatchObject({ code: 2, output: expect.stringContaining('Nothing answers at http://127.0.0.1:') })

  const noModel = await vqLoad(target, images, ['--model', 'shapes-vpa'])
  expect(noModel).toMatchObject({
    code: 2,
    output: expect.stringContaining('There is no model shapes-vpa; there are: shapes-'),
  })

  const noPictures = await vqLoad(target, ['--images', '.'])
  expect(noPictures).toMatchObject({ code: 2, output: expect.stringMatching(/no \.jpg, \.png or \.webp file in/) })

  const noQuestion = await vqLoad(target, images)
  expect(noQuestion).toMatchObject({ code: 2, output: expect.stringContaining('question') })

  const noApi = await vqLoad(['--url', `${system.url}/docs`], images)
  expect(noApi).toMatchObject({ code: 2, output: expect.stringContaining('is no vision-queue API') })
})
