import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const packageFolder = fileURLToPath(new URL('..', import.meta.url))

/** The package as it is published: JavaScript and declarations, in a folder that knows nothing else but zod. */
let built = ''

beforeAll(async () => {
  built = await mkdtemp(join(tmpdir(), 'vision-queue-protocol-'))
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
  await run(process.execPath, [compiler, '-p', join(packageFolder, 'tsconfig.build.json'), '--outDir', built])
  await symlink(join(packageFolder, 'node_modules'), join(built, 'node_modules'))
})

afterAll(async () => {
  await rm(built, { recursive: true, force: true })
})

describe('the protocol as it is published', () => {
  it('runs as plain JavaScript', async () => {
    const program = `import { errorTable, isFinal, jobIdSchema } from ${JSON.stringify(join(built, 'index.js'))}
      console.log(isFinal('failed'), errorTable.queue_full.status, jobIdSchema.safeParse('job_1').success)`
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], {
      env: { PATH: process.env['PATH'] },
    })
    expect(stdout.trim()).toBe('true 429 false')
  })

  it('has the surface that is written down: what changes here changes for everybody who programs against it', async () => {
    const files = (await readdir(built)).filter((file) => file.endsWith('.d.ts')).toSorted()
    const declarations = await Promise.all(
      files.map(async (file) => `// ${file}\n${await readFile(join(built, file), 'utf8')}`),
    )
    await expect(declarations.join('\n')).toMatchFileSnapshot('../surface.snapshot.txt')
  })
})
