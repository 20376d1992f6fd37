import { createRequire } from 'node:module'
import { relative } from 'node:path'

import { build, type Plugin } from 'esbuild'

import { keyOf, root, withHeader } from './bundle-file.cjs'
import { createSources, type Sources } from './sources.ts'

/**
 * Packages that stay where they are: those that have native parts, which they look for beside themselves, and the SDK of
 * AWS, which few need and which would be read at every start.
 */
const left = [
  '@aws-sdk/client-s3',
  '@aws-sdk/s3-request-presigner',
  'esbuild',
  'msgpackr-extract',
  'onnxruntime-node',
  'sharp',
  'tsx',
]

/** What decides about a bundle and is no part of it. */
const alwaysInputs = ['bundle-file.cjs', 'bundle.ts', 'sources.ts'].map((file) => `packages/bundles/src/${file}`)

/**
 * The text of a program's bundle: one file of CommonJS, which Node starts quicker than ES modules, with all that the
 * program imports. The source map names our own sources only. Rejects where something can't be bundled, such as an
 * `await` at the top of a module.
 */
export async function bundle(entry: string, path: string): Promise<string> {
  const sources = createSources()
  for (const input of [...alwaysInputs, 'pnpm-lock.yaml']) sources.read(`${root}/${input}`)
  sources.read(createRequire(import.meta.url).resolve('esbuild/package.json'))
  const { outputFiles } = await build({
    entryPoints: [entry],
    outfile: path,
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    target: 'node20.19',
    // A line for the header.
    banner: { js: '//' },
    sourcemap: 'inline',
    sourcesContent: false,
    logLevel: 'silent',
    // None is looked for.
    tsconfigRaw: {},
    plugins: [plugin(sources)],
  })
  const text = outputFiles[0]?.text ?? ''
  const inputs = [...sources.contents.keys()].map((file) => relative(root, file)).toSorted()
  const key = keyOf(inputs, (file) => sources.contents.get(file) ?? null)
  return withHeader({ key, inputs }, text.slice(text.indexOf('\n') + 1))
}

function plugin(sources: Sources): Plugin {
  return {
    name: 'sources',
    setup({ onLoad, onResolve }) {
      const names = new RegExp(`^(${left.join('|')})(/|$)`)
      onResolve({ filter: names }, ({ path, importer, kind }) => {
        if (kind === 'entry-point') return null
        try {
          return { path: createRequire(importer).resolve(path), external: true }
        } catch {
          // It is optional and not installed; its importer catches what `require` throws.
          return { path, external: true }
        }
      })
      onLoad({ filter: /\.([cm]?[jt]s|json)$/ }, ({ path }) => sources.load(path))
    },
  }
}
