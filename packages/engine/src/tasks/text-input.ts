import type { Row } from '../onnx/collate.ts'
import type { ModelFolder, TextPadding } from '@vision-queue/models'
import type { Session } from '../onnx/session.ts'
import { numberTypes } from '../onnx/tensor.ts'
import { createTokenizer, type TextTokenizer } from '../text/tokenizer.ts'
import type { EncodedText } from '../text/post-processor.ts'
import { lacking } from './lacking.ts'
import { requireInput } from './model-inputs.ts'
import { changeTogether, type ReadRow } from './neighbours.ts'
import type { TaskModel } from './task.ts'

/** A text to rows of `input_ids` and of what else the graph takes of a text, ``int64 [L]``. */
export type TextInput = (text: string) => Record<string, Row>

/** What it takes to try whether a graph sees what fills up a text. */
export interface TextTrial extends ReadRow {
  /** Rows of the graph's other inputs. Default: it has none. */
  besides?: () => Promise<Record<string, Row>>
}

interface TextNames {
  ids: string
  mask: string
  types: string
  positions: string
}

/**
 * How texts reach a graph. Where the graph or the folder gives their length, all are filled up to it, also one that
 * runs alone. Otherwise they are as long as they are, and filled up to the longest of a run only where that
 * changes nothing: the graph has an attention mask, and with it a text that was tried gave the same alone
 * and filled up. Texts of other graphs share runs with those of their own length.
 */
export async function openTextInput(
  { folder, session }: Pick<TaskModel, 'folder' | 'session'>,
  trial: TextTrial,
): Promise<TextInput> {
  if (folder.tokenizer === null) throw lacking(folder, 'tokenizer.json, which turns text into numbers')
  const names = findNames({ folder, session })
  const hasMask = session.inputs.has(names.mask)
  const fixedLength = session.inputs.get(names.ids)?.dims[1] ?? statedLength(folder.textPadding, hasMask)
  const maxLength = Math.min(folder.tokenizer.maxLength, fixedLength ?? Infinity)
  const tokenizer = createTokenizer({ ...folder.tokenizer, maxLength })
  const toRows = (exact: boolean): TextInput => {
    return (text) => rowsOf(tokenizer, tokenizer.encode(text), { names, session, fixedLength, exact })
  }
  if (fixedLength !== null) return toRows(false)
  if (!hasMask || session.rowsApart === true) return toRows(true)
  const tried = samples(toRows(false), names.ids)
  if (tried === null) return toRows(true)
  const others = (await trial.besides?.()) ?? {}
  const items = tried.map((rows) => Object.fromEntries([...Object.entries(rows), ...Object.entries(others)]))
  return toRows(await changeTogether(session, items, trial))
}

/** Those of the texts that the model takes: one may have no token for words that it doesn't know. */
export function takenTexts(toTokens: TextInput, texts: readonly string[]): string[] {
  return texts.filter((text) => {
    try {
      return Object.keys(toTokens(text)).length > 0
    } catch {
      return false
    }
  })
}

/** Two texts of different lengths that the tokenizer takes; null where there are none. */
function samples(toRows: TextInput, ids: string): Record<string, Row>[] | null {
  const found = new Map<number, Record<string, Row>>()
  for (const text of takenTexts(toRows, [
    'one',
    'a',
    'What is in the image?',
    'a photo of one and two and a b c',
    '',
  ])) {
    found.set(lengthOf(toRows(text), ids), toRows(text))
  }
  found.delete(0)
  const [first, ...others] = [...found].toSorted(([a], [b]) => a - b).map(([, rows]) => rows)
  const last = others.at(-1)
  return first === undefined || last === undefined ? null : [first, last]
}

function lengthOf(rows: Record<string, Row>, ids: string): number {
  const row = rows[ids]
  return row?.type === 'int64' ? row.values.length : 0
}

function statedLength({ always, withoutMask }: TextPadding, hasMask: boolean): number | null {
  return always ?? (hasMask ? null : withoutMask)
}

function findNames({ folder, session }: { folder: ModelFolder; session: Session }): TextNames {
  const { input_ids: ids = 'input_ids', attention_mask: mask, token_type_ids: types } = folder.settings.inputs
  const names = {
    ids,
    mask: mask ?? 'attention_mask',
    types: types ?? 'token_type_ids',
    positions: 'position_ids',
  }
  for (const name of [ids, mask, types]) if (name !== undefined) requireInput({ folder, session }, name)
  for (const name of Object.values(names)) {
    const { type = 'int64' } = session.inputs.get(name) ?? {}
    const taken = name === names.mask ? numberTypes : ['int64', 'int32']
    if (!taken.includes(type)) throw lacking(folder, `${name} as ${taken.join(', ')}; the graph takes ${type}`)
  }
  return names
}

function rowsOf(
  { padId, padTypeId, padSide }: TextTokenizer,
  { ids, typeIds }: EncodedText,
  {
    names,
    session,
    fixedLength,
    exact,
  }: { names: TextNames; session: Session; fixedLength: number | null; exact: boolean },
): Record<string, Row> {
  const length = fixedLength ?? ids.length
  const toRow = (values: readonly number[], padValue: number): Row => {
    const filling = Array.from({ length: length - values.length }, () => padValue)
    const filled = padSide === 'left' ? [...filling, ...values] : [...values, ...filling]
    return { type: 'int64', values: filled, padValue, ...(exact ? { exact } : {}) }
  }
  const rows: Record<string, Row> = { [names.ids]: toRow(ids, padId) }
  if (session.inputs.has(names.mask)) {
    rows[names.mask] = toRow(
      ids.map(() => 1),
      0,
    )
  }
  if (session.inputs.has(names.types)) rows[names.types] = toRow(typeIds, padTypeId)
  if (session.inputs.has(names.positions)) {
    const places = padSide === 'left' ? ids.length : length
    rows[names.positions] = toRow(
      Array.from({ length: places }, (_, index) => index),
      0,
    )
  }
  return rows
}
