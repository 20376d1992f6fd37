import { readFile, writeFile } from 'node:fs/promises'

import { withConfigTables } from './config-tables.ts'

const path = new URL('../../README.md', import.meta.url)
const readme = await readFile(path, 'utf8')
const current = withConfigTables(readme)

if (process.argv.includes('--check')) {
  if (current !== readme) {
    console.error("README's configuration tables are out of date: npm run docs:config")
    process.exitCode = 1
  }
} else {
  await writeFile(path, current)
}
