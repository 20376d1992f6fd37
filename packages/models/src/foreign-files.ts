import { open, stat } from 'node:fs/promises'

const enough = 512

/**
 * What a file is that was meant to be a graph or a file of JSON, where it is one of the things that people get instead:
 * the rest of a sentence, with the remedy. Null where it is none of them, or not there.
 */
export async function strangeContent(path: string, name: string): Promise<string | null> {
  const found = await stat(path).catch(() => null)
  if (found === null || !found.isFile()) return null
  if (found.size === 0) return 'is empty: fetch it again.'
  const start = await readStart(path)
  const pointer = /^version https:\/\/git-lfs\.github\.com\/spec\/v1\n[\s\S]*?^size (\d+)$/m.exec(start)
  if (pointer !== null) {
    return `is a Git LFS pointer to a file of ${pointer[1] ?? 'some'} bytes, not the file itself: run \`git lfs pull\` in the clone, or \`hf download <repository> ${name}\`.`
  }
  if (/^\s*(<!doctype html|<html|<\?xml[\s\S]*<html)/i.test(start)) {
    return `is a web page, not the file that the page is about: fetch it by its address with /resolve/ in it instead of /blob/, or with \`hf download <repository> ${name}\`.`
  }
  if (/^Entry not found|^Access to model .* is restricted|^Invalid (username|credentials)/.test(start)) {
    return `is the answer of a server that did not hand out the file ("${start.split('\n')[0]?.slice(0, 60) ?? ''}"): fetch it again.`
  }
  return null
}

async function readStart(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    const bytes = Buffer.alloc(enough)
    const { bytesRead } = await file.read(bytes, 0, enough, 0)
    return bytes.toString('latin1', 0, bytesRead)
  } finally {
    await file.close()
  }
}

/** Weights in forms that ONNX Runtime doesn't read. */
const otherWeights =
  /\.(safetensors|bin|pt|pth|ckpt|gguf|ggml|h5|keras|msgpack|tflite|pb|mlmodel|mlpackage|engine|plan|ort)$/

/** What to do about a folder without a graph; `entries` are the names of its files. */
export function withoutGraph(entries: readonly string[]): string {
  const weights = entries.filter((entry) => otherWeights.test(entry) || entry === 'openvino')
  if (weights.length === 0) {
    return 'no graph is here: put model.onnx, or the graphs of the export, into the folder or into onnx/ in it.'
  }
  return `there are only weights of another form (${weights.slice(0, 3).join(', ')}), which ONNX Runtime does not read. Export them, such as with \`optimum-cli export onnx --model <folder or hub id> <folder>\`, and put the .onnx files into onnx/.`
}

/** Of a folder that onnxruntime-genai's tools wrote; `graphs`: its graphs' names. */
export function ofGenai(graphs: readonly string[]): string {
  return `is a folder for onnxruntime-genai (genai_config.json${graphs.length === 0 ? '' : `; graphs ${graphs.join(', ')}`}), whose graphs only that program runs. Take the model's export for Transformers.js or by optimum-cli: config.json, and the graphs in onnx/.`
}
