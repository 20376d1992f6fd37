// Runs beside an installed @huggingface/transformers, as a program of its own: a server with POST /v1/chat/completions that
// answers one question after the other by the library's own generate, greedily. Its argument is what transformers.ts
// gives it. Prints its port. The first token is told as it comes, and all else at the end, so that streaming costs it nothing.
import { createServer } from 'node:http'

const { library, folders, model: name, threads } = JSON.parse(process.argv[2])
// Named by its caller: it is no dependency of this package.
const { AutoModelForImageTextToText, AutoProcessor, env, RawImage } = await import(library)
env.allowRemoteModels = false
env.localModelPath = folders
const processor = await AutoProcessor.from_pretrained(name)
const model = await AutoModelForImageTextToText.from_pretrained(name, {
  dtype: 'fp32',
  device: 'cpu',
  session_options: { intraOpNumThreads: threads },
})

const event = (chunk) => `data: ${JSON.stringify(chunk)}\n\n`
const textEvent = (content) => event({ choices: [{ delta: { content } }] })
const decode = (ids) => processor.tokenizer.decode(ids.map(Number), { skip_special_tokens: true })

async function answer({ messages: [{ content }] }, response) {
  const [{ image_url: image }, { text }] = content
  const [, base64] = image.url.split(',')
  const picture = await RawImage.fromBlob(new Blob([Buffer.from(base64, 'base64')]))
  const asked = [{ role: 'user', content: [{ type: 'image' }, { type: 'text', text }] }]
  const inputs = await processor(processor.apply_chat_template(asked, { add_generation_prompt: true }), picture)
  let calls = 0
  let told = ''
  const streamer = {
    // The prompt comes first.
    put([ids]) {
      calls += 1
      if (calls !== 2) return
      told = decode(ids)
      if (told !== '') response.write(textEvent(told))
    },
    end() {},
  }
  const generated = await model.generate({ ...inputs, do_sample: false, streamer })
  const ids = generated.tolist()[0].slice(inputs.input_ids.dims[1])
  response.write(textEvent(decode(ids).slice(told.length)))
  response.end(event({ choices: [], usage: { completion_tokens: ids.length } }))
}

let last = Promise.resolve()
const server = createServer((request, response) => {
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    // Whoever has gone while he waited is not answered.
    last = last
      .then(() => (response.destroyed ? null : answer(JSON.parse(Buffer.concat(chunks).toString()), response)))
      .catch((error) => response.end(event({ error: String(error) })))
  })
})
process.once('disconnect', () => process.exit(0))
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`))
