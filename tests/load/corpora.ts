import { mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { PlannedRequest } from '@vision-queue/load/load-plan'
import { findAssets } from '@vision-queue/test-support/assets'

import sharp from 'sharp'
import { z } from 'zod'

import type { RawRequest } from './subjects/http-plan.ts'

const repository = fileURLToPath(new URL('../../models', import.meta.url))
const exampleFolder = join(repository, 'shapes-vqa/1/examples')
const examplesSchema = z.array(z.object({ image: z.string(), question: z.string() }))

/** A model and what it is asked, for the service and for the bare loop alike. */
export interface Corpus {
  model: string
  /** The folder that the model's own lies in: MODEL_REPOSITORY. */
  repository: string
  about: string
  requests: PlannedRequest[]
}

/** shapes-vqa and the pictures that ship beside it: a model whose inference is nearly free. */
export async function shapesCorpus(): Promise<Corpus> {
  const listed = examplesSchema.parse(JSON.parse(await readFile(join(exampleFolder, 'examples.json'), 'utf8')))
  return {
    model: 'shapes-vqa',
    repository,
    about: 'shapes-vqa on its example pictures (320x240 to 1280x720; JPEG, PNG and WebP)',
    requests: listed.map(({ image, question }) => request('shapes-vqa', join(exampleFolder, image), { question })),
  }
}

/**
 * squeezenet-imagenet and photos, which are no part of the project: a model whose cost is real. Null where
 * they are not on this machine. `folder`: where a model folder that links to them may be made.
 */
export async function photosCorpus(folder: string): Promise<Corpus | null> {
  const assets = findAssets()
  if (assets === null) return null
  const made = join(await mkdtemp(join(folder, 'photos-')), 'models')
  const model = join(made, 'squeezenet-imagenet/1')
  const source = join(assets, 'models/squeezenet-imagenet')
  await mkdir(join(model, 'onnx'), { recursive: true })
  await symlink(join(source, 'model.onnx'), join(model, 'onnx/model.onnx'))
  await symlink(join(source, 'labels.txt'), join(model, 'labels.txt'))
  const settings = {
    task: 'image-classification',
    channels: 'BGR',
    preprocessing: { do_rescale: false, do_normalize: false },
    labels: 'labels.txt',
  }
  await writeFile(join(model, 'model.json'), JSON.stringify(settings))
  const images = (await readdir(join(assets, 'images'))).toSorted().map((name) => join(assets, 'images', name))
  return {
    model: 'squeezenet-imagenet',
    repository: made,
    about: 'squeezenet-imagenet on photos (0.05 to 2 megapixels)',
    requests: images.map((file) => request('squeezenet-imagenet', file, {})),
  }
}

/**
 * A noisy picture of about so many bytes, as heavy as a photo of its size, for what a job costs by its bytes: 1280x960
 * above 100 KB, 96x96 below 10 KB, else 640x480. It goes to shapes-vqa. The file is made in `folder`.
 */
export async function pictureOf(bytes: number, folder: string): Promise<Corpus> {
  const [width, height] = bytes > 100_000 ? [1280, 960] : bytes < 10_000 ? [96, 96] : [640, 480]
  // Flat scenes compress too well: grain makes them as heavy as photos.
  const noise = { type: 'gaussian', mean: 128, sigma: 12 } as const
  const grainy = await sharp({ create: { width, height, channels: 3, background: '#808080', noise } })
    .png()
    .toBuffer()
  let best = Buffer.alloc(0)
  for (let quality = 5; quality <= 98; quality += 1) {
    const made = await sharp(grainy).jpeg({ quality }).toBuffer()
    if (Math.abs(made.length - bytes) < Math.abs(best.length - bytes)) best = made
    if (made.length > bytes) break
  }
  const file = join(await mkdtemp(join(folder, 'picture-')), 'picture.jpg')
  await writeFile(file, best)
  return {
    model: 'shapes-vqa',
    repository,
    about: `shapes-vqa on one ${width}x${height} JPEG of ${(best.length / 1000).toFixed(1)} KB`,
    requests: [request('shapes-vqa', file, { question: 'What is the color of the little cross?' })],
  }
}

/** A corpus's requests as they stand on the wire, each waiting for its answer. */
export function rawRequests({ requests }: Corpus): RawRequest[] {
  return requests.map(({ file, contentType, query }) => ({
    method: 'POST',
    path: `/jobs?${new URLSearchParams(query).toString()}`,
    headers: [`content-type: ${contentType}`, 'prefer: wait=60'],
    file,
  }))
}

/** A folder of this run's own, for pictures and model folders. Whoever asks removes it. */
export async function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'vision-queue-bench-'))
}

const types: Record<string, PlannedRequest['contentType']> = { '.png': 'image/png', '.webp': 'image/webp' }

function request(model: string, file: string, inputs: Record<string, string>): PlannedRequest {
  return { label: model, file, contentType: types[extname(file)] ?? 'image/jpeg', query: { model, ...inputs } }
}
