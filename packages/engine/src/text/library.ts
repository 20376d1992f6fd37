import { Tokenizer } from '@huggingface/tokenizers'

/** What is used of `@huggingface/tokenizers`, whose own types can't be resolved from an ES module. */
export interface LibraryTokenizer {
  model: VocabularyModel | null
  pre_tokenizer: { pattern?: RegExp | null } | null
  token_to_id: (token: string) => number | undefined
  decode: (ids: readonly number[], options: { skip_special_tokens: boolean }) => string
}

/** WordPiece, BPE, Unigram or a list of words: pieces of text to tokens, which are the vocabulary's or unknown. */
export interface VocabularyModel {
  (pieces: readonly string[]): string[]
  tokens_to_ids: ReadonlyMap<string, number>
  unk_token_id?: number | undefined
}

/** Throws where the files make no tokenizer. */
export function openLibrary(tokenizer: Record<string, unknown>, config: Record<string, unknown>): LibraryTokenizer {
  return new Tokenizer(
    { added_tokens: [], decoder: null, normalizer: null, pre_tokenizer: null, post_processor: null, ...tokenizer },
    config,
  )
}
