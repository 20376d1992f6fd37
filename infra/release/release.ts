import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { nextVersion, releaseChangelog, releaseKinds, withVersion } from './next-release.ts'

/**
 * `npm run release major|minor|patch` gives the tree its next version: in every package, in the changelog and in the
 * manifests. It commits, tags and publishes nothing; what comes before and after it stands in docs/deploy.md.
 */
const root = fileURLToPath(new URL('../../', import.meta.url))
const kind = releaseKinds.find((each) => each === process.argv[2])
if (kind === undefined) throw new Error(`Which release? One of ${releaseKinds.join(', ')}.`)

const { version: current }: { version: string } = JSON.parse(await readFile(`${root}package.json`, 'utf8'))
const version = nextVersion(current, kind)
const changelog = await readFile(`${root}CHANGELOG.md`, 'utf8')
await writeFile(`${root}CHANGELOG.md`, releaseChangelog(changelog, version, new Date().toISOString().slice(0, 10)))

const run = promisify(execFile)
const { stdout } = await run('git', ['ls-files', 'package.json', '*/package.json'], { cwd: root })
for (const path of stdout.trim().split('\n')) {
  const text = await readFile(root + path, 'utf8')
  await writeFile(root + path, withVersion(text, current, version))
}
// What processes tell in metrics and traces.
const told = `${root}packages/process/src/release.ts`
await writeFile(told, (await readFile(told, 'utf8')).replace(`'${current}'`, `'${version}'`))
await run('npm', ['run', '--silent', 'manifests'], { cwd: root })
console.log(`${current} -> ${version}. Now: npm test, npm run proofs, commit, tag v${version}.`)
