import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { setTimeout as delay } from 'node:timers/promises'

import { getModels } from './get-models.ts'
import { readText } from './read-text.ts'

const [file, server = 'http://127.0.0.1:3000'] = process.argv.slice(2)
if (file === undefined) {
  console.error('Usage: npm run -s ocr -- IMAGE [SERVER]')
  process.exit(2)
}
await getModels(fileURLToPath(new URL('models', import.meta.url)))
await untilReady()
for (const { text, score, left, top } of await readText(server, await readFile(file))) {
  console.log(`${String(left).padStart(5)} ${String(top).padStart(5)}  ${score.toFixed(2)}  ${text}`)
}

/** The server loads models that it finds in its repository; that takes a moment. */
async function untilReady(): Promise<void> {
  for (let tries = 0; tries < 120; tries += 1) {
    const models = await Promise.all(['ocr-find', 'ocr-read'].map(async (name) => fetch(`${server}/models/${name}`)))
    const statuses = await Promise.all(models.map(async (response) => response.text()))
    if (statuses.every((text) => text.includes('"status":"ready"'))) return
    await delay(500)
  }
  throw new Error(
    `${server} does not serve ocr-find and ocr-read. Was it started with MODEL_REPOSITORY=examples/ocr/models?`,
  )
}
