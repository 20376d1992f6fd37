import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

import { describeFields, fieldErrors, VisionQueueError } from '@vision-queue/protocol'
import type { z } from 'zod'

import { strangeContent } from './foreign-files.ts'

/** A file of a version folder, and how sentences name it: `<name>/<version>/<file>`. */
export interface FolderFile {
  folder: string
  shownAs: string
  file: string
}

/** The parsed file, or null where there is none. Rejects with `model_unavailable` naming file and field. */
export async function readJson<S extends z.ZodType>(file: FolderFile, schema: S): Promise<z.infer<S> | null> {
  const text = await readText(file)
  if (text === null) return null
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    const strange = await strangeContent(join(file.folder, file.file), file.file)
    throw unavailable(`${file.shownAs} ${strange ?? 'is no JSON.'}`, error)
  }
  const parsed = schema.safeParse(json)
  if (!parsed.success) throw unavailable(`${file.shownAs}: ${describeFields(fieldErrors(parsed.error))}`, parsed.error)
  return parsed.data
}

/** The file's text, or null where there is none. */
export async function readText({ folder, shownAs, file }: FolderFile): Promise<string | null> {
  try {
    return await readFile(join(folder, file), 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw unavailable(`${shownAs} can not be read.`, error)
  }
}

/** A file of one label a line; where every line starts with a number and a comma, these are the labels' places. */
export async function readLabels(file: FolderFile): Promise<string[]> {
  const text = await readText(file)
  if (text === null) throw unavailable(`${file.shownAs} is missing; model.json names it as labels.`)
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  const numbered = lines.map((line) => /^\s*(\d+)\s*,(.*)$/.exec(line))
  if (lines.length === 0) throw unavailable(`${file.shownAs} has no labels.`)
  if (numbered.includes(null)) return lines.map((line) => line.trim())
  const byPlace = new Map(numbered.map((match) => [Number(match?.[1]), match?.[2]?.trim() ?? '']))
  return Array.from({ length: lines.length }, (_, index) => {
    const label = byPlace.get(index)
    if (label === undefined) throw unavailable(`${file.shownAs}: no line for the number ${index}.`)
    return label
  })
}

/** A file of one character a line, of which a space of any kind may be one. The end of the last line may be missing. */
export async function readCharacters(file: FolderFile): Promise<string[]> {
  const text = await readText(file)
  if (text === null) throw unavailable(`${file.shownAs} is missing; model.json names it as characters.`)
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  if (lines.at(-1) === '') lines.pop()
  if (lines.length === 0) throw unavailable(`${file.shownAs} has no characters.`)
  return lines
}

/** Rejects with `model_unavailable` where a file's SHA-256 is another than model.json's. */
export async function checkDigest(file: FolderFile, expected: string): Promise<void> {
  const hash = createHash('sha256')
  try {
    await pipeline(createReadStream(join(file.folder, file.file)), hash)
  } catch (error) {
    throw unavailable(`${file.shownAs} can not be read; model.json has its sha256.`, error)
  }
  const actual = hash.digest('hex')
  if (actual !== expected) {
    throw unavailable(`${file.shownAs} has the SHA-256 ${actual}, model.json: sha256 says ${expected}.`)
  }
}

export function unavailable(sentence: string, cause?: unknown): VisionQueueError {
  return new VisionQueueError('model_unavailable', sentence, cause === undefined ? {} : { cause })
}
