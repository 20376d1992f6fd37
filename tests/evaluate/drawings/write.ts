import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

import { seededRandom } from '@vision-queue/test-support/seeded-random'
import sharp from 'sharp'

import type { Box } from '../average-precision.ts'
import { labelOf, namesOf, phrasesAbout, questionsAbout, statementsAbout } from './ask.ts'
import { drawScene, pick, styles } from './scene.ts'
import { svgOf } from './svg.ts'

/** The box around what an SVG covers at least by half, in pixels. */
async function extentOf(svg: string): Promise<Box> {
  const { data, info } = await sharp(Buffer.from(svg))
    .extractChannel('alpha')
    .raw()
    .toBuffer({ resolveWithObject: true })
  const box = { xmin: info.width, ymin: info.height, xmax: 0, ymax: 0 }
  for (const [at, alpha] of data.entries()) {
    if (alpha < 128) continue
    const [x, y] = [at % info.width, Math.floor(at / info.width)]
    box.xmin = Math.min(box.xmin, x)
    box.ymin = Math.min(box.ymin, y)
    box.xmax = Math.max(box.xmax, x + 1)
    box.ymax = Math.max(box.ymax, y + 1)
  }
  return box
}

/** Draws `count` scenes of each style into a folder per style, with what `cases.ts` reads; returns the folders. */
export async function writeDrawings(out: string, count: number, seed = 1): Promise<string[]> {
  const folders: string[] = []
  for (const [index, style] of styles.entries()) {
    const folder = join(out, style)
    mkdirSync(folder, { recursive: true })
    const random = seededRandom(seed * 1000 + index)
    const [questions, tasks]: [object[], object[]] = [[], []]
    while (tasks.length < count) {
      const scene = drawScene(style, random)
      if (scene.objects.length === 0) continue
      const format = pick(random, ['png', 'jpeg', 'webp'] as const)
      const image = `${String(tasks.length).padStart(3, '0')}.${format}`
      const { picture: svg, alone } = svgOf(scene, random)
      const picture = sharp(Buffer.from(svg)).removeAlpha()
      writeFileSync(
        join(folder, image),
        await picture.toFormat(format, format === 'png' ? {} : { quality: 50 + Math.floor(random() * 46) }).toBuffer(),
      )
      for (const question of questionsAbout(scene, random)) questions.push({ image, ...question })
      tasks.push({
        image,
        statements: statementsAbout(scene, random),
        caption: '',
        clear: false,
        names: namesOf(scene),
        label: labelOf(scene),
        phrases: [phrasesAbout(scene, random)],
        objects: await Promise.all(
          scene.objects.map(async ({ shape }, at) => ({ label: shape, box: await extentOf(alone[at] ?? '') })),
        ),
      })
    }
    writeFileSync(join(folder, 'test.json'), JSON.stringify(questions))
    writeFileSync(join(folder, 'tasks.json'), JSON.stringify(tasks))
    folders.push(folder)
  }
  return folders
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { scenes: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' } },
  })
  console.log((await writeDrawings(positionals[0] ?? '.', Number(values.scenes), Number(values.seed))).join('\n'))
}
