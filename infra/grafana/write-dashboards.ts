import { writeFile } from 'node:fs/promises'

import { dashboards } from './dashboards.ts'

for (const [file, dashboard] of Object.entries(dashboards)) {
  await writeFile(new URL(file, import.meta.url), `${JSON.stringify(dashboard, null, 2)}\n`)
}
