import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'

import { writeChatFolder } from '../../test/open-chat.ts'
import { load, removeFolders } from '../../test/tiny-folder.ts'
import { blankImage } from '../images/image-preprocessing.ts'
import type { LoadedModel } from '../model.ts'
import { chatOutputSchema } from './chat-schemas.ts'

afterAll(removeFolders)

const image = await blankImage({ width: 20, height: 20 }, '#ff0000')
async function ask(model: LoadedModel, parameters: Record<string, unknown>) {
  const job = await model.prepare({ images: [image], input: { prompt: 'what is it ?' }, parameters })
  const [output] = await model.run([job])
  if (output instanceof Error) throw output
  return chatOutputSchema.parse(output)
}
const schemaOf = z.object({ properties: z.record(z.string(), z.looseObject({ default: z.json().optional() })) })
const defaultsOf = ({ manifest }: LoadedModel) => {
  const { properties } = schemaOf.parse(manifest.parametersSchema)
  return Object.fromEntries(Object.entries(properties).map(([name, { default: value }]) => [name, value]))
}

describe('parameters that are left out', () => {
  it("are the model's own, and announced, so that the API knows whether an answer is drawn by lot", async () => {
    const generation = {
      bos_token_id: 1,
      eos_token_id: 2,
      do_sample: true,
      temperature: 0.7,
      top_p: 0.8,
      top_k: 20,
      repetition_penalty: 1.05,
      max_new_tokens: 9,
    }
    const model = await load(await writeChatFolder('llava', {}, { 'generation_config.json': generation }))
    expect(defaultsOf(model)).toMatchObject({
      temperature: 0.7,
      top_p: 0.8,
      top_k: 20,
      min_p: 0,
      repetition_penalty: 1.05,
      max_new_tokens: 9,
    })
    const { seed } = schemaOf.parse(model.manifest.parametersSchema).properties
    expect(seed).toMatchObject({ 'x-drawn-unless': { temperature: 0 } })
  })
  it('draw nothing by lot where the folder does not say that it samples', async () => {
    const generation = { bos_token_id: 1, eos_token_id: 2, temperature: 0.7 }
    const model = await load(await writeChatFolder('llava', {}, { 'generation_config.json': generation }))
    expect(defaultsOf(model)).toMatchObject({ temperature: 0, max_new_tokens: 512 })
  })
})

describe('an answer', () => {
  it('tells how likely its tokens were, in text and bytes, the end token left out', async () => {
    const model = await load(await writeChatFolder('llava'))
    const parameters = { max_new_tokens: 7, no_repeat_ngram_size: 1, logprobs: true, top_logprobs: 3 }
    const { text, tokens, finish_reason: reason, logprobs = [] } = await ask(model, parameters)
    expect(reason).toBe('stop')
    expect(logprobs).toHaveLength(tokens - 1)
    expect(
      logprobs
        .map(({ token }) => token)
        .join('')
        .trim(),
    ).toBe(text)
    for (const { token, bytes, logprob, top_logprobs: top } of logprobs) {
      expect(Buffer.from(bytes ?? []).toString()).toBe(token)
      expect(logprob).toBeLessThanOrEqual(0)
      expect(top).toHaveLength(3)
      expect(top.map((one) => one.logprob)).toEqual(top.map((one) => one.logprob).toSorted((a, b) => b - a))
    }
  })
  it('that reaches max_new_tokens says that it was cut', async () => {
    const model = await load(await writeChatFolder('llava'))
    const cut = await ask(model, { max_new_tokens: 2, no_repeat_ngram_size: 1 })
    expect(cut).toMatchObject({ finish_reason: 'length', tokens: 2 })
    expect(cut.usage).toMatchObject({ completion_tokens: 2 })
  })
  it('ends before a stop string', async () => {
    const model = await load(await writeChatFolder('llava'))
    const parameters = { max_new_tokens: 7, no_repeat_ngram_size: 1 }
    const [first = '', second = ''] = (await ask(model, parameters)).text.split(' ')
    expect(second).not.toBe('')
    expect(await ask(model, { ...parameters, stop: [second] })).toMatchObject({
      text: `${first} `,
      finish_reason: 'stop',
    })
  })
  it('is one of the choices, whatever the model would have said', async () => {
    const model = await load(await writeChatFolder('llava'))
    const answer = await ask(model, { response_format: { type: 'choice', choices: ['small', 'large'] } })
    expect(['small', 'large']).toContain(answer.text)
  })
  it('that could never be held is refused by its numbers, before its image is decoded', async () => {
    const model = await load(await writeChatFolder('llava'), { generationCacheBytes: 100_000 })
    const broken = { images: [image.subarray(0, 60)], input: { prompt: 'a' } }
    await expect(model.prepare({ ...broken, parameters: { max_new_tokens: 400 } })).rejects.toThrow(
      /parameters\.max_new_tokens: fewer, .* up to 4\d\d tokens/,
    )
  })
})
