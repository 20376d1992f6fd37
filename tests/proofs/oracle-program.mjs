// Runs beside an installed @huggingface/transformers, as a program of its own: prints the ids that it makes of an image of
// one colour and a text, and what it answers. Its argument is what oracle.ts gives it.
const { library, folders, family, image, text, parameters } = JSON.parse(process.argv[2])
// Named by its caller: it is no dependency of this package.
const { AutoModelForImageTextToText, AutoProcessor, env, RawImage } = await import(library)
env.allowRemoteModels = false
env.localModelPath = folders
const processor = await AutoProcessor.from_pretrained(family)
const model = await AutoModelForImageTextToText.from_pretrained(family, { dtype: 'fp32', device: 'cpu' })
const { width, height, rgb } = image
const pixels = Uint8ClampedArray.from({ length: width * height * 3 }, (_, at) => rgb[at % 3])
const inputs = await inputsOf(new RawImage(pixels, width, height, 3))
const generated = await model.generate({ ...inputs, ...parameters, do_sample: false })
const toIds = (tensor) => tensor.tolist()[0].map(Number)
process.stdout.write(JSON.stringify({ ids: toIds(inputs.input_ids), generated: toIds(generated) }))

async function inputsOf(picture) {
  if (family === 'florence2') {
    return { ...(await processor(picture)), ...processor.tokenizer(processor.construct_prompts(text)) }
  }
  if (family === 'paligemma') return processor(picture, text)
  const messages = [{ role: 'user', content: [{ type: 'image' }, { type: 'text', text }] }]
  const prompt = processor.apply_chat_template(messages, { add_generation_prompt: true })
  return family === 'llava' ? processor(picture, prompt) : processor(prompt, picture)
}
