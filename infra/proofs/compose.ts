import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

import { findProgram, root, run } from './commands.ts'
import { type Proof, Skipped } from './proof.ts'

/**
 * compose.yaml before two judges: dclint, which knows the schema of the compose specification, and Docker's own
 * (Debian's docker-compose), which also follows names from one place to another. `docker compose up` is not run: no
 * registry of images is reached. What can be checked without either stands in compose.test.ts.
 */
export const compose: Proof = {
  name: 'compose',
  title: 'compose.yaml is what the compose specification and docker-compose take',
  short: true,
  async run(say) {
    const dclint = join(dirname(createRequire(import.meta.url).resolve('dclint/package.json')), 'bin/dclint.cjs')
    const options = ['--max-warnings', '0', '-c', 'infra/compose/dclint.yml']
    await promisify(execFile)(process.execPath, [dclint, ...options, 'compose.yaml'], { cwd: root })
    say('dclint finds nothing')
    const dockerCompose = await findProgram('docker-compose')
    if (dockerCompose === null) throw new Skipped('docker-compose missing (Debian: apt-get install docker-compose).')
    await run(dockerCompose, ['-f', 'compose.yaml', '--profile', 'tools', 'config', '--quiet'])
    say('docker-compose config finds nothing')
  },
}
