import { afterAll, describe, expect, it } from 'vitest'

import type { TinyFamily } from '../../test/chat-folders.ts'
import { openTinyChat, writeChatFolder } from '../../test/open-chat.ts'
import { greedyWithoutCache, likeliestNew } from '../../test/tiny-decoders.ts'
import { load, removeFolders } from '../../test/tiny-folder.ts'
import { chatOutputSchema } from '../chat/chat-schemas.ts'
import { blankImage } from '../images/image-preprocessing.ts'
import type { LoadedModel } from '../model.ts'
import { openSession } from '../onnx/session.ts'

afterAll(removeFolders)

/** Of the folders' generation_config.json. */
const endId = 2

interface Asked {
  images: Uint8Array[]
  input: Record<string, unknown>
  parameters?: Record<string, unknown>
}

const image = async (width: number, height: number, colour = '#ff0000') => blankImage({ width, height }, colour)
const red = await image(30, 20)
const blue = await image(64, 32, '#0000ff')
const green = await image(16, 40, '#00ff00')

async function answer(model: LoadedModel, jobs: Asked[]) {
  const prepared = await Promise.all(
    jobs.map(async ({ parameters = {}, ...job }) => model.prepare({ ...job, parameters })),
  )
  return (await model.run(prepared)).map((output) => {
    if (output instanceof Error) throw output
    return chatOutputSchema.parse(output)
  })
}

/** Conversations of unequal lengths, with images and without, as the family takes them. */
function conversations(family: TinyFamily): Asked[] {
  const single = (prompt: string, images: Uint8Array[]): Asked => ({
    images,
    input: { prompt },
    parameters: { max_new_tokens: 7, no_repeat_ngram_size: 1 },
  })
  if (family === 'florence2' || family === 'paligemma') {
    return [single('what is it ?', [red]), single('a', [blue]), single('one two a b c red blue large small', [green])]
  }
  const turn = (role: string, ...content: object[]) => ({ role, content })
  const text = (words: string) => ({ type: 'text', text: words })
  const [user, assistant] = ['user', 'assistant']
  const two = {
    messages: [
      turn(user, { type: 'image' }, text('what is it ?')),
      turn(assistant, text('red')),
      turn(user, text('and'), { type: 'image' }),
    ],
  }
  return [
    single('what is it ?', [red]),
    single('one two a b c red blue large small', [blue]),
    { images: [green, red], input: two, parameters: { max_new_tokens: 5, no_repeat_ngram_size: 1 } },
    single('a', []),
    single('a', [red]),
  ]
}

const families = [
  'idefics3',
  'llava',
  'llava_onevision',
  'qwen2_vl',
  'qwen2_5_vl',
  'qwen3_vl',
  'florence2',
  'gemma3',
  'paligemma',
] as const

describe.each(families)('%s', (family) => {
  it('answers alone, beside any others and about images it knows what one run over everything gives', async () => {
    const folder = await writeChatFolder(family)
    const model = await load(folder)
    const jobs = conversations(family)
    const alone = []
    for (const job of jobs) alone.push(...(await answer(model, [job])))
    const texts = alone.map(({ text }) => text)
    expect(new Set(texts).size).toBeGreaterThan(2)
    // Known images by now, and neighbours of other lengths, in either order.
    expect((await answer(model, jobs)).map(({ text }) => text)).toEqual(texts)
    expect((await answer(model, jobs.toReversed())).map(({ text }) => text)).toEqual(texts.toReversed())
    const fresh = await load(folder, { featureCacheBytes: 0 })
    expect((await answer(fresh, jobs)).map(({ text }) => text)).toEqual(texts)

    const tiny = await openTinyChat(folder)
    try {
      const session = await openSession(`${folder}/onnx/decoder_model_merged.onnx`, { intraOpThreads: 1 })
      for (const [index, { parameters = {}, ...job }] of jobs.entries()) {
        const item = await tiny.prepare({ ...job, parameters })
        if (item.pieces.length > 0) await tiny.chat.encoder.encode(item.pieces)
        const prompt = await item.toPrompt()
        const count = Number(parameters['max_new_tokens'])
        const first = item.rules.forcedFirstId
        const generated = await greedyWithoutCache({ session }, prompt, count, (logits, before) =>
          first !== null && before.length === 0 ? first : likeliestNew(logits, [...prompt.ids, ...before]),
        )
        const end = generated.indexOf(endId)
        expect(item.toText(end < 0 ? generated : generated.slice(0, end))).toBe(texts[index])
      }
      await session.close()
    } finally {
      await tiny.close()
    }
  })
})
