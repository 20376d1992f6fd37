import { blankImage } from '../images/image-preprocessing.ts'
import { afterAll, describe, expect, it } from 'vitest'

import { embeddingOf } from '../../test/attention-decoders.ts'
import { decoderWidth } from '../../test/attention-parts.ts'
import { chatFolder, type TinyFamily } from '../../test/chat-folders.ts'
import { openTinyChat, writeChatFolder } from '../../test/open-chat.ts'
import { removeFolders } from '../../test/tiny-folder.ts'
import { piecesOf } from './vision-images.ts'

const open: { close: () => Promise<void> }[] = []
afterAll(async () => {
  await Promise.all(open.map(async ({ close }) => close()))
  await removeFolders()
})

const image = async (width: number, height: number, colour = '#ff0000') => blankImage({ width, height }, colour)
const part = { type: 'image' }
const text = (words: string) => ({ type: 'text', text: words })

/** A job's prompt as the decoder gets it, in words, with its images encoded. */
async function promptOf(family: TinyFamily, input: object, images: Uint8Array[] = [], parameters = {}) {
  const tiny = await openTinyChat(await writeChatFolder(family))
  open.push(tiny)
  const item = await tiny.prepare({ images, input: { ...input }, parameters })
  if (item.pieces.length > 0) await tiny.chat.encoder.encode(item.pieces)
  const prompt = await item.toPrompt()
  const name = (id: number): string => tiny.chat.tokenizer.decode([id], new Set(), true)
  return { ...prompt, item, words: prompt.ids.map(name).join(' ') }
}
const times = (count: number, word: string): string => Array.from({ length: count }, () => word).join(' ')
const [fake, whole] = ['<fake_token_around_image>', '<global-img>']
const tile = (name: string): string => `${fake} ${name} ${times(4, '<image>')}`

describe('a prompt of', () => {
  it('Idefics3 names each tile by its row and column, and then the whole image', async () => {
    const messages = [{ role: 'user', content: [part, text('what is it ?')] }]
    const { words, positions, nextPosition } = await promptOf('idefics3', { messages }, [await image(64, 32)])
    const tiles = `${tile('<row_1_col_1>')} ${tile('<row_1_col_2>')} ${tile(whole)} ${fake}`
    expect(words).toBe(`<s> User : ${tiles} what is it ? <end> Assistant :`)
    expect([...(positions[0] ?? [])].slice(0, 3)).toEqual([0, 1, 2])
    expect(nextPosition).toBe(words.split(' ').length)
  })
  it('Idefics3 has the whole image alone where the caller wants low detail', async () => {
    const low = await promptOf('idefics3', { prompt: 'a' }, [await image(64, 32)], { detail: 'low' })
    expect(low.words).toBe(`<s> User : ${tile(whole)} ${fake} a <end> Assistant :`)
  })
  it('LLaVA has images in any turn, each as many places as the encoder gives features', async () => {
    const messages = [
      { role: 'system', content: 'a' },
      { role: 'user', content: [part, text('what ?')] },
      { role: 'assistant', content: 'red' },
      { role: 'user', content: [text('and'), part] },
    ]
    const { words } = await promptOf('llava', { messages }, [await image(9, 9), await image(30, 9)])
    const places = times(4, '<image>')
    expect(words).toBe(`a USER : ${places} what ? ASSISTANT : red USER : ${places} and ASSISTANT :`)
  })
  it.each(['qwen2_vl', 'qwen2_5_vl', 'qwen3_vl'] as const)(
    '%s has a place for each merged patch, on three axes',
    async (family) => {
      const messages = [{ role: 'user', content: [text('a'), part, text('b')] }]
      const { words, positions, nextPosition } = await promptOf(family, { messages }, [await image(24, 16)])
      const vision = `<|vision_start|> ${times(6, '<|image_pad|>')} <|vision_end|>`
      expect(words).toBe(`<|im_start|> user a ${vision} b <|im_end|> <|im_start|> assistant`)
      expect(positions.map((axis) => [...axis].slice(3, 12))).toEqual([
        [3, 4, 4, 4, 4, 4, 4, 7, 8],
        [3, 4, 4, 4, 5, 5, 5, 7, 8],
        [3, 4, 5, 6, 4, 5, 6, 7, 8],
      ])
      expect(nextPosition).toBe(12)
    },
  )
  it('Gemma 3 has the features between two marks, and counts from 1', async () => {
    const messages = [{ role: 'user', content: [part, text('what')] }]
    const { words, positions, nextPosition } = await promptOf('gemma3', { messages }, [await image(9, 9)])
    const marked = `<start_of_image> ${times(4, '<image_soft_token>')} <end_of_image>`
    expect(words).toBe(`<s> <start_of_turn> user ${marked} what <end_of_turn> <start_of_turn> model`)
    expect(positions[0]?.[0]).toBe(1)
    expect(nextPosition).toBe(words.split(' ').length + 1)
  })
  it('PaliGemma begins with the images, and has no template', async () => {
    const { words, positions } = await promptOf('paligemma', { prompt: 'what is it' }, [
      await image(9, 9),
      await image(9, 8),
    ])
    expect(words).toBe(`${times(8, '<image>')} <s> what is it`)
    expect(positions[0]?.[0]).toBe(1)
  })
  it("Florence-2 is the encoder's: the image and then the words of the task; the decoder begins by itself", async () => {
    const { words, cross, item } = await promptOf('florence2', { prompt: '<OD>' }, [await image(9, 9)])
    expect(words).toBe('</s>')
    expect(cross?.tensors.get('encoder_hidden_states')?.dims).toEqual([1, 4 + 4, decoderWidth])
    expect(item.rules.forcedFirstId).toBe(1)
    const grounded = await promptOf('florence2', { prompt: '<GROUND>a red car' }, [await image(9, 9)])
    expect(grounded.cross?.tensors.get('encoder_hidden_states')?.dims[1]).toBe(4 + 6)
  })
})

describe('a folder of Transformers 5', () => {
  it('has what its images need in processor_config.json', async () => {
    const { files } = chatFolder('idefics3')
    const { 'preprocessor_config.json': images, 'processor_config.json': processor } = files
    const folder = await writeChatFolder(
      'idefics3',
      {},
      {
        'preprocessor_config.json': null,
        'processor_config.json': { ...Object(processor), image_processor: images },
      },
    )
    const tiny = await openTinyChat(folder)
    open.push(tiny)
    const item = await tiny.prepare({ images: [await image(64, 32)], input: { prompt: 'a' }, parameters: {} })
    expect(item.pieces).toHaveLength(3)
  })
})

describe('the embeddings of a prompt', () => {
  it("are the words' own, and the features of the image in its places, which differ by image", async () => {
    const messages = [{ role: 'user', content: [part, text('a')] }]
    const red = await promptOf('llava', { messages }, [await image(9, 9)])
    const blue = await promptOf('llava', { messages }, [await image(9, 9, '#0000ff')])
    const row = (prompt: typeof red, at: number) =>
      [...(prompt.embeds ?? [])].slice(at * decoderWidth, (at + 1) * decoderWidth)
    const first = red.ids.indexOf(4)
    expect(row(red, 0)).toEqual([...Float32Array.from(embeddingOf(red.ids[0] ?? 0))])
    expect(row(red, first)).not.toEqual(row(blue, first))
    expect(row(red, first)).not.toEqual(row(red, first + 1))
    expect(row(red, first + 4)).toEqual(row(blue, first + 4))
  })
})

describe('a job is refused before anything is run', () => {
  const messages = (...content: object[]) => ({ messages: [{ role: 'user', content }] })
  it.each<[string, TinyFamily, object, number, RegExp]>([
    ['both inputs', 'llava', { prompt: 'a', ...messages(text('a')) }, 0, /input: exactly one of prompt and messages/],
    ['no input', 'llava', {}, 1, /input: exactly one of prompt and messages/],
    ['more images than places', 'llava', messages(part), 2, /input\.messages: as many parts .* \(there are 1 for 2\)/],
    ['the word of a place', 'llava', { prompt: 'an <image> here' }, 1, /input\.prompt: a text without <image>/],
    ['two images for one', 'florence2', { prompt: 'a' }, 2, /input\.prompt: 1 image for this model \(there are 2\)/],
    ['no image', 'paligemma', { prompt: 'a' }, 0, /input\.prompt: at least 1 image/],
    ['an empty prompt alone', 'llava', { prompt: '' }, 0, /input\.prompt: a text, or an image/],
    [
      'more tokens than the model reads',
      'llava',
      { prompt: times(600, 'a') },
      1,
      /input\.prompt: at most 500 tokens.*the text is 60\d and its images 4/,
    ],
    ['an unknown role', 'llava', { messages: [{ role: 'tool', content: 'a' }] }, 0, /input\.messages\.0\.role/],
  ])('%s', async (_, family, input, images, sentence) => {
    const files = await Promise.all(Array.from({ length: images }, async () => image(9, 9)))
    await expect(promptOf(family, input, files)).rejects.toThrow(sentence)
  })
  it('alternatives without log probabilities', async () => {
    await expect(promptOf('llava', { prompt: 'a' }, [], { top_logprobs: 2 })).rejects.toThrow(
      /parameters\.top_logprobs/,
    )
  })
})

describe('an image that is asked about again', () => {
  it('is decoded and encoded once, whoever asks', async () => {
    const tiny = await openTinyChat(await writeChatFolder('idefics3'))
    open.push(tiny)
    const file = await image(40, 40)
    const ask = async (parameters = {}) => tiny.prepare({ images: [file], input: { prompt: 'a' }, parameters })
    const [first, meanwhile] = await Promise.all([ask(), ask()])
    expect(meanwhile.pieces).toEqual(first.pieces)
    expect(first.pieces).toHaveLength(5)
    await tiny.chat.encoder.encode(first.pieces)
    tiny.cache.recount()
    expect((await ask()).pieces).toEqual([])
    // The same image in another size is another one.
    expect((await ask({ detail: 'low' })).pieces).toHaveLength(1)
  })
  it('is decoded when its turn has come where it was not before, to the same features', async () => {
    const tiny = await openTinyChat(await writeChatFolder('idefics3'))
    open.push(tiny)
    const file = await image(40, 40)
    const { pieces: early } = await tiny.prepare({ images: [file], input: { prompt: 'a' }, parameters: {} })
    const late = piecesOf(tiny.chat.pixels, file, tiny.chat.pixels.planOf(file))
    expect(late.map(({ pixels }) => pixels)).toEqual([null, null, null, null, null])
    await tiny.chat.encoder.encode(early)
    // A part of them first, as steps do.
    await tiny.chat.encoder.encode(late.slice(0, 2))
    await tiny.chat.encoder.encode(late.slice(2))
    expect(late.map(({ features }) => features)).toEqual(early.map(({ features }) => features))
    expect(late.map(({ pixels, load }) => [pixels, load])).toEqual(late.map(() => [null, null]))
  })
  it('twice in a conversation is encoded once', async () => {
    const tiny = await openTinyChat(await writeChatFolder('llava'))
    open.push(tiny)
    const file = await image(40, 40)
    const { pieces } = await tiny.prepare({ images: [file, file], input: { prompt: 'a' }, parameters: {} })
    expect(pieces).toHaveLength(1)
  })
})
