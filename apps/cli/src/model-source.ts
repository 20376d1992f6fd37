import { execFile } from 'node:child_process'
import { cp, mkdir, readdir, stat } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { promisify } from 'node:util'

import { readGraphFacts } from '@vision-queue/models'

import { isArchive, unpack, withoutArchiveEnd } from './unpack.ts'
import { RefusalError } from './usage-error.ts'

/** A model's files as they are, and what they are called. */
export interface FoundSource {
  /** A folder of a model, or a single graph. */
  path: string
  name: string
}

export interface SourceOptions {
  /** A folder for what has to be unpacked first. */
  scratch: string
  maxBytes: number
}

/** Finds a model's files by what `vq models add` was given. Throws RefusalError with what to do instead. */
export async function findSource(source: string, options: SourceOptions): Promise<FoundSource> {
  if (source.startsWith('npm:')) return fromNpm(source.slice('npm:'.length), options)
  const path = resolve(source)
  const found = await stat(path).catch(() => null)
  if (found === null) throw notHere(source)
  if (found.isDirectory()) return { path: await findFolder(path), name: basename(path) }
  return fromFile(path, options)
}

async function fromFile(path: string, { scratch, maxBytes }: SourceOptions): Promise<FoundSource> {
  const name = basename(path)
  if (extname(name) === '.onnx') return { path, name: basename(name, '.onnx') }
  if (!isArchive(name)) {
    throw new RefusalError(`${name} is no model: a folder, an archive (.tar.gz, .tgz, .tar, .zip) or a graph (.onnx).`)
  }
  const into = join(scratch, 'unpacked')
  await mkdir(into, { recursive: true })
  await unpack(path, into, maxBytes)
  return { path: await findFolder(into), name: withoutArchiveEnd(name) }
}

/** `PACKAGE[@VERSION]/PATH`; the package may have a scope. */
const npmForm = /^(?<spec>(?:@[\w.~-]+\/)?[\w.~-]+(?:@[\w.^~<>=*+-]+)?)(?:\/(?<path>.+))?$/

async function fromNpm(reference: string, { scratch, maxBytes }: SourceOptions): Promise<FoundSource> {
  const { spec, path = '' } = npmForm.exec(reference)?.groups ?? {}
  if (spec === undefined || path.split('/').includes('..')) {
    throw new RefusalError(`npm:${reference} is not of the form npm:PACKAGE/PATH, such as npm:@scope/models/onnx.`)
  }
  const packed = join(scratch, 'packed')
  await mkdir(packed, { recursive: true })
  const args = ['pack', spec, '--pack-destination', packed, '--ignore-scripts', '--silent']
  await promisify(execFile)('npm', args, { cwd: scratch }).catch((error: unknown) => {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error)
    const why = /npm (?:error|ERR!) (?!code)(.+)/.exec(said)?.[1] ?? said.trim().split('\n')[0] ?? ''
    throw new RefusalError(
      `The npm package ${spec} can not be had: ${why.slice(0, 200) || 'the registry does not answer or does not have it.'} With the package's archive at hand, give its path instead.`,
    )
  })
  const [archive] = await readdir(packed)
  if (archive === undefined) throw new RefusalError(`npm packed nothing for ${spec}.`)
  const into = join(scratch, 'unpacked')
  await mkdir(into, { recursive: true })
  await unpack(join(packed, archive), into, maxBytes)
  const inside = join(into, 'package', path)
  const found = await stat(inside).catch(() => null)
  if (found === null) {
    const graphs = await listGraphs(join(into, 'package'))
    const known = graphs.slice(0, 20).map((graph) => `npm:${spec}/${graph}`)
    throw new RefusalError(`${spec} has no ${path}. Its graphs: ${known.join(', ') || 'none'}.`)
  }
  const name = path === '' ? (spec.split('/').at(-1) ?? spec).replace(/@.*$/, '') : basename(path, '.onnx')
  return { path: found.isDirectory() ? await findFolder(inside) : inside, name }
}

/** The model's own folder, which may lie some folders down. Throws where there are several, or none. */
async function findFolder(folder: string): Promise<string> {
  const graphs = await listGraphs(folder)
  const holders = new Set(graphs.map((graph) => dirname(graph).replace(/(^|\/)onnx$/, '')))
  const places = [...holders].map((place) => (place === '.' ? '' : place))
  if (places.includes('')) return folder
  const [only, ...others] = places
  if (only === undefined) {
    // What is wrong with it is the check's to say, which knows other forms of weights.
    return folder
  }
  if (others.length === 0) return join(folder, only)
  throw new RefusalError(`There are several models: ${places.toSorted().join(', ')}. Add the path of one of them.`)
}

/** The graphs of a folder, five levels deep at most. */
async function listGraphs(folder: string, under = '', depth = 0): Promise<string[]> {
  const entries = await readdir(join(folder, under), { withFileTypes: true }).catch(() => [])
  const found = await Promise.all(
    entries
      .filter(({ name }) => !name.startsWith('.') && name !== 'node_modules')
      .map(async ({ name }) => {
        const path = under === '' ? name : `${under}/${name}`
        const kind = await stat(join(folder, path)).catch(() => null)
        if (kind?.isDirectory() === true) return depth < 5 ? listGraphs(folder, path, depth + 1) : []
        return kind?.isFile() === true && name.endsWith('.onnx') ? [path] : []
      }),
  )
  return found.flat()
}

/** Weights that no graph here reads; they are as large as the model once more. */
const otherWeights = /\.(safetensors|gguf|h5|msgpack|tflite)$|^(pytorch_model.*\.bin|flax_model.*|tf_model.*)$/

/**
 * Copies a model's files: of a folder all but hidden ones and weights of other forms, of a graph the graph, as
 * `onnx/model.onnx`, with the files of its weights. Returns what was left out.
 */
export async function copyModel({ path }: FoundSource, into: string): Promise<string[]> {
  if ((await stat(path)).isDirectory()) {
    const leftOut: string[] = []
    await cp(path, into, {
      recursive: true,
      // Hugging Face's cache is made of links.
      dereference: true,
      filter(from) {
        const name = basename(from)
        if (from === path) return true
        if (name.startsWith('.') || otherWeights.test(name)) {
          leftOut.push(name)
          return false
        }
        return true
      },
    })
    return leftOut
  }
  await mkdir(join(into, 'onnx'), { recursive: true })
  await cp(path, join(into, 'onnx', 'model.onnx'), { dereference: true })
  const facts = await readGraphFacts(path).catch(() => null)
  for (const file of facts?.externalFiles.filter((one) => !one.includes('/')) ?? []) {
    await cp(join(dirname(path), file), join(into, 'onnx', file), { dereference: true }).catch(() => null)
  }
  return []
}

/** Of what is neither here nor in npm: most often a model of Hugging Face's hub. */
function notHere(source: string): RefusalError {
  const hub =
    /^(?:hf:|https:\/\/(?:huggingface\.co|hf\.co)\/)?(?<id>[\w.-]+\/[\w.-]+?)(?:\/(?:tree|blob|resolve)\/.*)?\/?$/
  const { id } = hub.exec(source)?.groups ?? {}
  if (id !== undefined) {
    const folder = id.split('/')[1] ?? 'model'
    return new RefusalError(
      `There is no file or folder ${source}. If it is a model of Hugging Face's hub, fetch it with the hub's own tool and add the folder:
  hf download ${id} --include "*.json" "*.txt" "onnx/model.onnx*" "onnx/*_model*.onnx*" --local-dir ${folder}
  vq models add ${folder}
Needed are config.json, preprocessor_config.json, the graphs (.onnx, and .onnx_data where there are such), and for models that read or write text tokenizer.json, tokenizer_config.json and generation_config.json. Of several variants (_fp16, _q4, _int8 ...) those you want to run are enough. The tool comes with \`pip install huggingface_hub\`.`,
    )
  }
  if (/^https?:/.test(source)) {
    return new RefusalError(`Addresses are not fetched: download ${source} and add the file or folder.`)
  }
  return new RefusalError(`There is no file or folder ${source}.`)
}
