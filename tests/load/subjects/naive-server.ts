import { serve } from '@hono/node-server'
import { findModel } from '@vision-queue/models'
import { loadModel } from '@vision-queue/engine/parts'
import { Hono } from 'hono'

/**
 * The "before": what one writes first. A request is decoded and run at once, alone, in the server's own process,
 * which stands still meanwhile. The same decoder, graph and libraries as the service, so that only the way they are
 * used differs; one intra-op thread, which is faster here than several (see the bare loop). Argument: the model
 * repository. Prints its port.
 */
const model = await loadModel({
  ...(await findModel(process.argv[2] ?? '', 'shapes-vqa', null)),
  intraOpThreads: 1,
  maxImagePixels: 50_000_000,
})
const app = new Hono()
app.post('/jobs', async (c) => {
  const image = new Uint8Array(await c.req.arrayBuffer())
  const question = c.req.query('question') ?? ''
  const prepared = await model.prepare({ images: [image], input: { question }, parameters: {} })
  const [output] = await model.run([prepared])
  if (output === undefined || output instanceof Error) return c.json({ status: 'failed' }, 500)
  return c.json({ status: 'succeeded', output })
})
// With its parent it ends.
process.once('disconnect', () => process.exit(0))
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => process.stdout.write(`${port}\n`))
