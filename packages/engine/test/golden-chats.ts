import type { TinyFamily } from './chat-folders.ts'

/** A question about an image of one colour, and what became of it. */
export interface GoldenChat {
  family: TinyFamily
  image: { width: number; height: number; colour: string }
  /** The prompt; Florence-2's is its encoder's. */
  ids: number[]
  answer: number[]
}

export const goldenParameters = { max_new_tokens: 7, no_repeat_ngram_size: 1 }

/** PaliGemma and Florence-2 get it as it is, the others as a user's message of an image and the text. */
export const goldenPrompt = (family: TinyFamily): string => (family === 'florence2' ? '<OD>' : 'what is it ?')

/**
 * What Transformers.js makes of the tiny folders: @huggingface/transformers 4.3.1, whose processors, templates, prompts and
 * generation are another's code than ours. tests/oracle asks it again. Images are of one colour, since its resizing of
 * others is not exact.
 */
export const goldenChats: readonly GoldenChat[] = [
  {
    family: 'llava',
    image: { width: 16, height: 16, colour: '#ff0000' },
    ids: [5, 20, 4, 4, 4, 4, 7, 8, 9, 10, 6, 20],
    answer: [16, 17, 23, 2],
  },
  {
    family: 'gemma3',
    image: { width: 16, height: 16, colour: '#ff0000' },
    ids: [1, 4, 9, 6, 8, 8, 8, 8, 7, 11, 12, 13, 14, 5, 4, 10],
    answer: [17, 23, 16, 20, 2],
  },
  {
    family: 'paligemma',
    image: { width: 16, height: 16, colour: '#ff0000' },
    ids: [4, 4, 4, 4, 1, 5, 6, 7, 8],
    answer: [11, 24, 19, 17, 28, 9, 23],
  },
  {
    family: 'florence2',
    image: { width: 16, height: 16, colour: '#ff0000' },
    ids: [12, 13, 14, 15],
    answer: [1, 10, 14, 13, 0, 22, 7],
  },
  {
    family: 'idefics3',
    image: { width: 16, height: 16, colour: '#ff0000' },
    ids: [
      1, 12, 27, 5, 7, 4, 4, 4, 4, 5, 8, 4, 4, 4, 4, 5, 9, 4, 4, 4, 4, 5, 10, 4, 4, 4, 4, 5, 6, 4, 4, 4, 4, 5, 14, 15,
      16, 17, 11, 13, 27,
    ],
    answer: [24, 19, 18, 21, 26, 28, 23],
  },
  {
    family: 'idefics3',
    image: { width: 64, height: 32, colour: '#0000ff' },
    ids: [1, 12, 27, 5, 7, 4, 4, 4, 4, 5, 8, 4, 4, 4, 4, 5, 6, 4, 4, 4, 4, 5, 14, 15, 16, 17, 11, 13, 27],
    answer: [20, 0, 21, 3, 22, 2],
  },
  {
    family: 'qwen2_vl',
    image: { width: 16, height: 16, colour: '#ff0000' },
    ids: [4, 9, 6, 8, 8, 8, 8, 7, 11, 12, 13, 14, 5, 4, 10],
    answer: [28, 25, 24, 26, 23, 17, 22],
  },
  {
    family: 'qwen2_vl',
    image: { width: 16, height: 24, colour: '#00ff00' },
    ids: [4, 9, 6, 8, 8, 8, 8, 8, 8, 7, 11, 12, 13, 14, 5, 4, 10],
    answer: [3, 21, 18, 15, 26, 24, 19],
  },
  {
    family: 'qwen2_5_vl',
    image: { width: 16, height: 24, colour: '#00ff00' },
    ids: [4, 9, 6, 8, 8, 8, 8, 8, 8, 7, 11, 12, 13, 14, 5, 4, 10],
    answer: [3, 21, 18, 15, 26, 24, 19],
  },
  {
    family: 'qwen3_vl',
    image: { width: 16, height: 16, colour: '#ff0000' },
    ids: [4, 9, 6, 8, 8, 8, 8, 7, 11, 12, 13, 14, 5, 4, 10],
    answer: [28, 25, 24, 26, 23, 17, 22],
  },
]
