import type { TokenConstraint } from '../token-constraint.ts'

/** What a text has to be. */
export type AnswerFormat =
  /** One JSON object, of any content. */
  | { type: 'json_object' }
  /** JSON that this JSON Schema (Draft 2020-12, a part of it) takes. */
  | { type: 'json_schema'; schema: unknown }
  /** One of these texts. */
  | { type: 'choice'; choices: readonly string[] }

/** A model's vocabulary, prepared for constraints once. */
export interface AnswerConstraints {
  /**
   * Checks a format, and gives a maker of constraints, one for each sequence. Throws `invalid_input` that names the
   * keyword which is not supported or the choice that the vocabulary can't write; `under` is the field's path, such as
   * `parameters.response_format`.
   */
  compile: (format: AnswerFormat, under: string) => () => TokenConstraint
}

export interface AnswerVocabulary {
  /** By id the text that a token adds to an answer, as it stands within it; null: none, or a special token. */
  tokens: readonly (Uint8Array | null)[]
  endIds: readonly number[]
}

/** Work in progress: the signature stands. */
export function openAnswerConstraints({ tokens }: AnswerVocabulary): AnswerConstraints {
  return {
    compile() {
      throw new Error(`not built yet, for ${tokens.length} tokens`)
    },
  }
}
