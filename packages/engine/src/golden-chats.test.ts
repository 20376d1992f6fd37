import { afterAll, expect, it } from 'vitest'

import type { TinyFamily } from '../test/chat-folders.ts'
import { pieceTokens } from '../test/chat-graphs.ts'
import { openTinyChat, writeChatFolder } from '../test/open-chat.ts'
import { load, removeFolders } from '../test/tiny-folder.ts'
import { chatOutputSchema } from './chat/chat-schemas.ts'
import { blankImage } from './images/image-preprocessing.ts'

afterAll(removeFolders)

/**
 * What Transformers.js made of the tiny folders: @huggingface/transformers 4.3.1, whose processors, templates, prompts and
 * generation are another's code than ours. Its `AutoProcessor` and `AutoModelForImageTextToText.generate` were run once,
 * by hand, with no_repeat_ngram_size 1 and 7 new tokens, on the folders of chat-folders.ts and images of one
 * colour (its resizing of others is not exact). To its files were added what it reads and we don't: classes of
 * processors, numbers of layers and heads in config.json, and `batch_size` as the name of the first dimension.
 * PaliGemma and Florence-2 got the text as it is, the others a user's message of an image and the text. Florence-2's prompt is its encoder's.
 */
const golden: [TinyFamily, { width: number; height: number; colour: string }, number[], number[]][] = [
  ['llava', { width: 16, height: 16, colour: '#ff0000' }, [5, 20, 4, 4, 4, 4, 7, 8, 9, 10, 6, 20], [16, 17, 23, 2]],
  [
    'gemma3',
    { width: 16, height: 16, colour: '#ff0000' },
    [1, 4, 9, 6, 8, 8, 8, 8, 7, 11, 12, 13, 14, 5, 4, 10],
    [17, 23, 16, 20, 2],
  ],
  ['paligemma', { width: 16, height: 16, colour: '#ff0000' }, [4, 4, 4, 4, 1, 5, 6, 7, 8], [11, 24, 19, 17, 28, 9, 23]],
  ['florence2', { width: 16, height: 16, colour: '#ff0000' }, [12, 13, 14, 15], [1, 10, 14, 13, 0, 22, 7]],
  [
    'idefics3',
    { width: 16, height: 16, colour: '#ff0000' },
    [
      1, 12, 27, 5, 7, 4, 4, 4, 4, 5, 8, 4, 4, 4, 4, 5, 9, 4, 4, 4, 4, 5, 10, 4, 4, 4, 4, 5, 6, 4, 4, 4, 4, 5, 14, 15,
      16, 17, 11, 13, 27,
    ],
    [24, 19, 18, 21, 26, 28, 23],
  ],
  [
    'idefics3',
    { width: 64, height: 32, colour: '#0000ff' },
    [1, 12, 27, 5, 7, 4, 4, 4, 4, 5, 8, 4, 4, 4, 4, 5, 6, 4, 4, 4, 4, 5, 14, 15, 16, 17, 11, 13, 27],
    [20, 0, 21, 3, 22, 2],
  ],
  [
    'qwen2_vl',
    { width: 16, height: 16, colour: '#ff0000' },
    [4, 9, 6, 8, 8, 8, 8, 7, 11, 12, 13, 14, 5, 4, 10],
    [28, 25, 24, 26, 23, 17, 22],
  ],
  [
    'qwen2_vl',
    { width: 16, height: 24, colour: '#00ff00' },
    [4, 9, 6, 8, 8, 8, 8, 8, 8, 7, 11, 12, 13, 14, 5, 4, 10],
    [3, 21, 18, 15, 26, 24, 19],
  ],
  [
    'qwen2_5_vl',
    { width: 16, height: 24, colour: '#00ff00' },
    [4, 9, 6, 8, 8, 8, 8, 8, 8, 7, 11, 12, 13, 14, 5, 4, 10],
    [3, 21, 18, 15, 26, 24, 19],
  ],
]

it.each(golden)(
  '%s, %o: the prompt and the answer of Transformers.js',
  async (family, { colour, ...size }, ids, answer) => {
    const folder = await writeChatFolder(family)
    const images = [await blankImage(size, colour)]
    const input = { prompt: family === 'florence2' ? '<OD>' : 'what is it ?' }
    const parameters = { max_new_tokens: 7, no_repeat_ngram_size: 1 }
    const tiny = await openTinyChat(folder)
    const model = await load(folder)
    try {
      const item = await tiny.prepare({ images, input, parameters })
      await tiny.chat.encoder.encode(item.pieces)
      const prompt = await item.toPrompt()
      // Florence-2's decoder begins with its own token; the prompt is its encoder's.
      expect(prompt.ids).toEqual(family === 'florence2' ? [2] : ids)
      const [output] = await model.run([await model.prepare({ images, input, parameters })])
      const { text, tokens, usage } = chatOutputSchema.parse(output)
      expect(text).toBe(item.toText(answer))
      expect(tokens).toBe(answer.length)
      expect(usage.prompt_tokens).toBe(ids.length + (family === 'florence2' ? pieceTokens : 0))
    } finally {
      await tiny.close()
    }
  },
)
