import { readFile, writeFile } from 'node:fs/promises'

import { withConfigTables } from './config-tables.ts'

const path = new URL('../../docs/settings.md', import.meta.url)
const page = await readFile(path, 'utf8')
const current = withConfigTables(page)

if (process.argv.includes('--check')) {
  if (current !== page) {
    console.error('The tables of docs/settings.md are out of date: npm run docs:config')
    process.exitCode = 1
  }
} else {
  await writeFile(path, current)
}
