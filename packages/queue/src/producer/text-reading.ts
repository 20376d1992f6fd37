import type { LoggedText } from '../text-log.ts'
import { commonLength, joinPieces, type TextPiece } from '../text-piece.ts'

/** How far a reader has read a job's text. */
export interface TextReading {
  /** The run whose pieces it reads (text-log.ts); null: it has read nothing. */
  run: string | null
  /** How many pieces of the run it has. */
  pieces: number
  /** What its pieces are together. */
  text: string
}

export const nothingRead: TextReading = { run: null, pieces: 0, text: '' }

/** A piece as it is published. */
export interface NumberedPiece extends TextPiece {
  run: string
  number: number
}

/** What a reader is told next, and how far it has read then. */
export interface ReadOn {
  reading: TextReading
  piece: TextPiece
}

/** What a published piece adds; null if the reader has it already, `gap` if pieces before it are missing. */
export function hearPiece(reading: TextReading, { run, number, text, index }: NumberedPiece): ReadOn | 'gap' | null {
  const known = run === reading.run
  if (known && number < reading.pieces) return null
  if (known ? number > reading.pieces : number > 0) return 'gap'
  return readOn(reading, { run, pieces: number + 1 }, { text, index })
}

/** What the log adds, as one piece; null if nothing. A log of another run is told from its beginning. */
export function readLog(reading: TextReading, { run, pieces }: LoggedText): ReadOn | null {
  // A run whose log is shorter than what was read of it has been written anew.
  const from = run === reading.run && reading.pieces <= pieces.length ? reading.pieces : 0
  const [first, ...rest] = pieces.slice(from)
  if (first === undefined) return null
  return readOn(reading, { run, pieces: pieces.length }, rest.reduce(joinPieces, first))
}

/** A reader that has the first pieces of a run already, as far as the log knows them. */
export function resumedReading({ run, pieces }: { run: string; pieces: number }, log: LoggedText): TextReading {
  if (log.run !== run || log.pieces.length < pieces) return nothingRead
  const [first, ...rest] = log.pieces.slice(0, pieces)
  return { run, pieces, text: first === undefined ? '' : rest.reduce(joinPieces, first).text }
}

/** The run of what was not read of a text before the job was final; its pieces are counted in UTF-16 units. */
export const finalRun = 'final'

/** What is missing of the whole text that the job ended with. */
export function readFinal(reading: TextReading, text: string): ReadOn | null {
  if (text === reading.text) return null
  const index = commonLength(reading.text, text)
  return readOn(reading, { run: finalRun, pieces: text.length }, { index, text: text.slice(index) })
}

function readOn({ text }: TextReading, to: Omit<TextReading, 'text'>, piece: TextPiece): ReadOn {
  return { reading: { ...to, text: text.slice(0, piece.index) + piece.text }, piece }
}
