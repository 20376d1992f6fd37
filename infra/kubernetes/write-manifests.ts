import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

import { files } from './manifests.ts'

/** `npm run manifests` writes base/ and scale-to-zero/ anew. */
const { version }: { version: string } = JSON.parse(
  await readFile(new URL('../../package.json', import.meta.url), 'utf8'),
)
for (const [name, text] of Object.entries(files(version))) {
  const path = fileURLToPath(new URL(name, import.meta.url))
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
}
