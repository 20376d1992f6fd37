// A program of its own, so that another's copy of ONNX Runtime's session is in no test: asks Transformers.js each question of
// its argument, which is what transformers.test.ts gives it, and prints the ids that it makes of an image of one colour
// and a text, and what it answers.
import { AutoModelForImageTextToText, AutoProcessor, env, RawImage } from '@huggingface/transformers'

const { folders, parameters, questions } = JSON.parse(process.argv[2])
env.allowRemoteModels = false
env.localModelPath = folders
const toIds = (tensor) => tensor.tolist()[0].map(Number)
const answers = []
for (const question of questions) answers.push(await answer(question))
process.stdout.write(JSON.stringify(answers))

async function answer({ family, image, text }) {
  const processor = await AutoProcessor.from_pretrained(family)
  const model = await AutoModelForImageTextToText.from_pretrained(family, { dtype: 'fp32', device: 'cpu' })
  const { width, height, rgb } = image
  const pixels = Uint8ClampedArray.from({ length: width * height * 3 }, (_, at) => rgb[at % 3])
  const inputs = await inputsOf({ family, processor, text }, new RawImage(pixels, width, height, 3))
  const generated = await model.generate({ ...inputs, ...parameters, do_sample: false })
  return { ids: toIds(inputs.input_ids), generated: toIds(generated) }
}

async function inputsOf({ family, processor, text }, picture) {
  if (family === 'florence2') {
    return { ...(await processor(picture)), ...processor.tokenizer(processor.construct_prompts(text)) }
  }
  if (family === 'paligemma') return processor(picture, text)
  const messages = [{ role: 'user', content: [{ type: 'image' }, { type: 'text', text }] }]
  const prompt = processor.apply_chat_template(messages, { add_generation_prompt: true })
  return family === 'llava' ? processor(picture, prompt) : processor(prompt, picture)
}
