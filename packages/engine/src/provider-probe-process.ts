import { openSession } from './onnx/session.ts'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { toVisionQueueError } from '@vision-queue/protocol'

/** A graph of one Identity node, opset 17, as `onnx.helper` writes it. */
const graph = 'CAgSADo7ChAKAXgSAXkiCElkZW50aXR5EgVwcm9iZVoPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEBE='

/** The program behind probeProvider: says `usable` where the provider named by its argument works, else why not. */
async function probe(provider: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'vision-queue-probe-'))
  try {
    const path = join(folder, 'model.onnx')
    await writeFile(path, Buffer.from(graph, 'base64'))
    const session = await openSession(path, { intraOpThreads: 1, requireProvider: provider })
    await session.run({ x: { type: 'float32', data: Float32Array.of(1), dims: [1] } })
    await session.close()
    console.log('usable')
  } catch (error) {
    console.log(toVisionQueueError(error, 'model_unavailable').detail)
    process.exitCode = 1
  } finally {
    await rm(folder, { recursive: true })
  }
}

void probe(process.argv[2] ?? '')
