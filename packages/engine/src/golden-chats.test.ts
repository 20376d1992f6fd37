import { afterAll, expect, it } from 'vitest'

import { pieceTokens } from '../test/chat-graphs.ts'
import { goldenChats, goldenParameters, goldenPrompt } from '../test/golden-chats.ts'
import { openTinyChat, writeChatFolder } from '../test/open-chat.ts'
import { load, removeFolders } from '../test/tiny-folder.ts'
import { chatOutputSchema } from './chat/chat-schemas.ts'
import { blankImage } from './images/image-preprocessing.ts'

afterAll(removeFolders)

it.each(goldenChats)(
  '$family, $image: the prompt and the answer of Transformers.js',
  async ({ family, image: { colour, ...size }, ids, answer }) => {
    const folder = await writeChatFolder(family)
    const images = [await blankImage(size, colour)]
    const input = { prompt: goldenPrompt(family) }
    const parameters = goldenParameters
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
