import { readFile, writeFile } from 'node:fs/promises'

import { withMetricsTables } from './metrics-table.ts'

const path = new URL('../../docs/metrics.md', import.meta.url)
await writeFile(path, withMetricsTables(await readFile(path, 'utf8')))
