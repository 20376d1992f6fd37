import { afterAll, expect, it } from 'vitest'

import { colour, load, removeFolders, runBatch } from '../../test/tiny-folder.ts'
import { writeFolder } from '../../test/tiny-folder.ts'
import { tinyGraph, tinyPreprocessor, tinyTokenizer } from '@vision-queue/models/test/tiny-model'
import { colourGraph } from '../../test/tiny-graphs.ts'

afterAll(removeFolders)

/** The mean colour decides, whatever the text: red no, green maybe, blue yes. */
const files = {
  'tokenizer.json': tinyTokenizer,
  'tokenizer_config.json': { model_max_length: 16, pad_token: '[PAD]' },
  'preprocessor_config.json': tinyPreprocessor,
}

async function open(id2label: Record<string, string>, graph = colourGraph({ withText: true, size: 16 })) {
  const folder = await writeFolder(
    { task: 'visual-entailment' },
    { 'model.onnx': graph },
    { ...files, 'config.json': { id2label } },
  )
  return load(folder)
}

it.each([[{ 0: 'no', 1: 'maybe', 2: 'yes' }], [{ 0: 'Contradiction', 1: 'Neutral', 2: 'Entailment' }]])(
  'says yes, no or maybe with a score for each (%j)',
  async (id2label) => {
    const answers = await runBatch(
      await open(id2label),
      ['red', 'lime', 'blue'].map((image) => ({ image, input: { text: 'it is large' } })),
    )
    expect(answers).toMatchObject([{ label: 'no' }, { label: 'maybe' }, { label: 'yes' }])
    const [{ confidence, scores } = {}] = answers
    expect(confidence).toBeCloseTo(0.787, 2)
    expect(scores).toEqual({ no: confidence, yes: expect.closeTo(0.107, 2), maybe: expect.closeTo(0.107, 2) })
  },
)

it('refuses labels that are no verdicts, and jobs without a statement', async () => {
  await expect(open({ 0: 'red', 1: 'maybe', 2: 'yes' })).rejects.toMatchObject({
    detail: expect.stringContaining('three labels, for yes, no and maybe'),
  })
  await expect(open({ 0: 'a', 1: 'b', 2: 'c', 3: 'd' }, tinyGraph())).rejects.toMatchObject({
    code: 'model_unavailable',
  })
  const model = await open({ 0: 'no', 1: 'maybe', 2: 'yes' })
  for (const input of [{}, { text: ' ' }, { question: 'what?' }]) {
    const image = await colour('red')
    await expect(model.prepare({ images: [image], input, parameters: {} })).rejects.toMatchObject({
      code: 'invalid_input',
    })
  }
})
