import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'

const run = promisify(execFile)
const packages = fileURLToPath(new URL('../../packages/', import.meta.url))

const manifestSchema = z.object({
  version: z.string(),
  license: z.string(),
  exports: z.record(z.string(), z.object({ types: z.string(), default: z.string() })),
  dependencies: z.record(z.string(), z.string()).default({}),
  peerDependencies: z.record(z.string(), z.string()).default({}),
})

/** Packages that are of use without the rest, with something that each exports. */
const publishable = [
  { name: 'protocol', exported: 'jobSchema', readme: false },
  { name: 'bullmq-batching', exported: 'batchingBackend', readme: true },
]

test.each(publishable)(
  '$name is packed as JavaScript and declarations, without sources, tests or workspace versions',
  async (each) => {
    const source = join(packages, each.name)
    const folder = await pack(source)
    const files = (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    const others = files.filter((file) => !/^dist\/[\w/-]+(\.d\.ts|\.js)$/.test(file))
    expect(others.toSorted()).toEqual(['LICENSE', ...(each.readme ? ['README.md'] : []), 'package.json'].toSorted())
    expect(files.filter((file) => /test/.test(file))).toEqual([])

    const manifest = manifestSchema.parse(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')))
    for (const { types, default: program } of Object.values(manifest.exports)) {
      expect({ types: existsSync(join(folder, types)), program: existsSync(join(folder, program)) }).toEqual({
        types: true,
        program: true,
      })
    }
    const wanted = Object.values({ ...manifest.dependencies, ...manifest.peerDependencies })
    expect(wanted.length).toBeGreaterThan(0)
    expect(wanted.filter((version) => !/^\^?\d+\.\d+\.\d+$/.test(version))).toEqual([])
    // Nothing is left of it in the package's own folder.
    expect(existsSync(join(source, 'dist'))).toBe(false)
  },
)

test.each(publishable)(
  '$name as packed runs as plain JavaScript with its own dependencies',
  async ({ name, exported }) => {
    const folder = await pack(join(packages, name))
    await symlink(join(packages, name, 'node_modules'), join(folder, 'node_modules'))
    const program = `import { ${exported} } from ${JSON.stringify(join(folder, 'dist/index.js'))}
    console.log(typeof ${exported})`
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program])
    expect(stdout.trim()).toMatch(/^(function|object)$/)
  },
)

/** Packs a package as pnpm would publish it (npm would leave `publishConfig.exports` out), and unpacks that. */
async function pack(source: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vision-queue-packed-'))
  onTestFinished(async () => await rm(folder, { recursive: true }))
  const pnpm = ['--yes', '--prefer-offline', 'pnpm@12.21.0', 'pack', '--pack-destination', folder]
  await run('npx', pnpm, { cwd: source })
  const [tarball] = await readdir(folder)
  await run('tar', ['-xzf', join(folder, tarball ?? 'none'), '-C', folder])
  return join(folder, 'package')
}
