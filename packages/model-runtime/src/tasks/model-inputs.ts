import { VisionQueueError } from '@vision-queue/jobs'

import type { Row } from '../collate.ts'
import { decodeImage, writePixels } from '../image-preprocessing.ts'
import type { ModelFolder } from '../model-folder.ts'
import { createTokenizer } from '../tokenizer.ts'
import type { TaskModel } from './task.ts'

/** Compressed bytes to a row of `pixel_values`, ``float32 [3, H, W]``, as the folder's preprocessing says. */
export function openImageInput({ folder, session, maxImagePixels }: TaskModel): (image: Uint8Array) => Promise<Row> {
  const { preprocessing } = folder
  if (preprocessing === null) throw lacking(folder, 'preprocessor_config.json, which says how images are prepared')
  requireInput({ folder, session }, 'pixel_values', 'float32')
  const dims = [3, preprocessing.height, preprocessing.width]
  const wanted = session.inputs.get('pixel_values')?.dims.slice(1) ?? []
  if (wanted.length !== 3 || wanted.some((dim, index) => dim !== null && dim !== dims[index])) {
    throw lacking(
      folder,
      `images of the graph's size: preprocessor_config.json makes [${dims.join(', ')}], pixel_values takes [${wanted.map((dim) => dim ?? 'any').join(', ')}]`,
    )
  }
  return async (image) => {
    const decoded = await decodeImage(image, { preprocessing, maxPixels: maxImagePixels })
    return {
      type: 'float32',
      dims,
      write: (target, offset) => {
        writePixels(target, offset, decoded, preprocessing)
      },
    }
  }
}

/** A text to rows of `input_ids` and `attention_mask`, ``int64 [L]``. */
export function openTextInput({ folder, session }: TaskModel): (text: string) => Record<string, Row> {
  if (folder.tokenizer === null) throw lacking(folder, 'tokenizer.json, which turns text into numbers')
  requireInput({ folder, session }, 'input_ids', 'int64')
  requireInput({ folder, session }, 'attention_mask', 'int64')
  const fixedLength = session.inputs.get('input_ids')?.dims[1] ?? Infinity
  const maxLength = Math.min(folder.tokenizer.maxLength, fixedLength)
  const tokenizer = createTokenizer({ ...folder.tokenizer, maxLength })
  return (text) => {
    const ids = tokenizer.encode(text)
    return {
      input_ids: { type: 'int64', values: ids, padValue: tokenizer.padId },
      attention_mask: { type: 'int64', values: ids.map(() => 1), padValue: 0 },
    }
  }
}

/** The labels of an output ``float32 [N, labels]``. */
export function openLabels({ folder, session }: TaskModel, outputName: string): string[] {
  const output = session.outputs.get(outputName)
  if (output === undefined) {
    throw lacking(folder, `an output named ${outputName}; the graph has: ${[...session.outputs.keys()].join(', ')}`)
  }
  if (folder.labels === null) throw lacking(folder, 'id2label in config.json, the names of its answers')
  const count = output.dims[1] ?? null
  if (count !== null && count !== folder.labels.length) {
    throw lacking(folder, `as many labels in config.json (${folder.labels.length}) as ${outputName} has (${count})`)
  }
  return folder.labels
}

function requireInput({ folder, session }: Pick<TaskModel, 'folder' | 'session'>, name: string, type: string): void {
  const input = session.inputs.get(name)
  if (input === undefined) {
    throw lacking(folder, `an input named ${name}; the graph has: ${[...session.inputs.keys()].join(', ')}`)
  }
  if (input.type !== type) throw lacking(folder, `${name} as ${type}; the graph takes ${input.type}`)
}

function lacking({ name, version, task }: ModelFolder, what: string): VisionQueueError {
  return new VisionQueueError('model_unavailable', `${name}/${version}: ${task} needs ${what}.`)
}
