import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual, promisify } from 'node:util'

import { goldenChats, goldenParameters, goldenPrompt } from '@vision-queue/engine/test/golden-chats'
import { z } from 'zod'

import { writeOracleFolder } from './oracle-folders.ts'
import { installTransformersJs, transformersJs } from './transformers-js.ts'

/**
 * `npm run proof:oracle`: asks Transformers.js, which is another's code, what it makes of the tiny folders of chat
 * families, and compares prompts and answers with the values that the engine's tests hold ours to (golden-chats.ts). It is
 * installed into a folder of its own and removed again: 470 MB, so that it is no dependency.
 */
const { library, version } = transformersJs
const program = 'oracle-program.mjs'
const saidSchema = z.object({ ids: z.array(z.int()), generated: z.array(z.int()) })
const run = promisify(execFile)

const folder = await mkdtemp(join(tmpdir(), 'vision-queue-oracle-'))
try {
  const failure = await installTransformersJs(folder)
  if (failure === null) await compare()
  else console.error(`SKIPPED, nothing was proved: ${failure}.`)
} finally {
  await rm(folder, { recursive: true })
}

async function compare(): Promise<void> {
  await copyFile(fileURLToPath(new URL(program, import.meta.url)), join(folder, program))
  const folders = join(folder, 'models')
  for (const family of new Set(goldenChats.map((chat) => chat.family))) {
    await writeOracleFolder(family, join(folders, family))
  }
  const different: string[] = []
  for (const { family, image, ids, answer } of goldenChats) {
    const { width, height, colour } = image
    const rgb = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16))
    const asked = {
      library,
      folders: `${folders}/`,
      family,
      image: { width, height, rgb },
      text: goldenPrompt(family),
      parameters: goldenParameters,
    }
    const { stdout } = await run(process.execPath, [program, JSON.stringify(asked)], { cwd: folder })
    const said = saidSchema.parse(JSON.parse(stdout))
    // It gives the prompt back in front of the answer; of Florence-2 the token that its decoder begins with.
    const written = said.generated.slice(family === 'florence2' ? 1 : said.ids.length)
    const isSame = isDeepStrictEqual([said.ids, written], [ids, answer])
    console.log(`${isSame ? 'same' : 'OTHER'}  ${family}, ${width} x ${height}: ${JSON.stringify([said.ids, written])}`)
    if (!isSame) different.push(`${family}, ${width} x ${height}`)
  }
  if (different.length > 0) throw new Error(`Transformers.js says otherwise: ${different.join('; ')}`)
  console.log(`${goldenChats.length} prompts and answers are those of Transformers.js ${version}.`)
}
