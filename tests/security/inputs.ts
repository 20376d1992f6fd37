import * as fc from 'fast-check'

import { makeBaseImages } from './base-images.ts'
import { makeHostileExif, withExif } from './hostile-exif.ts'
import { jsonSubmission } from './hostile-json.ts'
import { requestBytes } from './http-message.ts'
import { type HostileImage, mutateImage } from './image-mutations.ts'
import { imageForms, imageRequest, query } from './image-requests.ts'
import { makeHostileImages, readBadImages } from './made-images.ts'
import { oddForm } from './odd-forms.ts'
import { brokenHttp, oddRequest } from './odd-requests.ts'
import { oddText } from './odd-text.ts'
import { createRandom, type Random, seedOf } from './random.ts'
import type { TargetModel } from './served-tasks.ts'

/** One thing to send, and what it is. */
export interface FuzzInput {
  kind: string
  how: string
  bytes: Buffer
  /** Whether an HTTP server may close such a connection without an answer. */
  maybeSilent: boolean
}

/** Of a hundred inputs after the made ones, so many are of each kind. */
const shares = [
  ['mutated image', 40],
  ['exif nonsense', 8],
  ['json submission', 24],
  ['odd form', 8],
  ['odd query', 6],
  ['odd request', 10],
  ['broken http', 4],
] as const
type Kind = (typeof shares)[number][0]
const kinds = shares.flatMap(([kind, share]) => Array.from({ length: share }, (): Kind => kind))

/**
 * The inputs of a run: all images made by hand and of the assets come first, then what is drawn. The input at an
 * index depends on nothing but the seed, the index and `models`.
 */
export async function openInputs(seed: number, models: readonly TargetModel[]): Promise<(index: number) => FuzzInput> {
  const bases = await makeBaseImages()
  const made: HostileImage[] = [...(await makeHostileImages()), ...readBadImages()]
  const small = bases.find(({ name }) => name === 'png palette')?.bytes ?? Buffer.alloc(0)

  const ofImage = (kind: string, { name, bytes }: HostileImage, random: Random): FuzzInput => {
    const form = random.pick(imageForms)
    const model = random.pick(models)
    const request = imageRequest(form, bytes, model, random)
    return { kind, how: `${name}, ${form}, ${model.name}`, bytes: request, maybeSilent: false }
  }
  const draw = (kind: Kind, random: Random, drawSeed: number): FuzzInput => {
    const model = random.pick(models)
    switch (kind) {
      case 'mutated image':
        return ofImage(kind, mutateImage(bases, random), random)
      case 'exif nonsense': {
        const base = random.pick(bases)
        const image = { name: base.name, bytes: withExif(base.bytes, makeHostileExif(random)) }
        return ofImage(kind, image, random)
      }
      case 'json submission': {
        const body = one(jsonSubmission(model.name, model.input, small.toString('base64')), drawSeed).text
        const headers = [['Content-Type', 'application/json'] as const]
        return {
          kind,
          how: body.slice(0, 200),
          bytes: requestBytes({ target: '/jobs', headers, body }),
          maybeSilent: false,
        }
      }
      case 'odd form':
        return { kind, how: model.name, bytes: oddForm(small, model, random), maybeSilent: false }
      case 'odd query': {
        const name = random.pick([...Object.keys(model.input), 'parameters', 'metadata', 'deadline_ms', 'x', 'image'])
        const fields = { model: model.name, ...model.input, [name]: one(oddText, drawSeed).slice(0, 2000) }
        const target = `/jobs?${query(fields)}`
        const headers = [['Content-Type', 'image/png'] as const]
        const bytes = requestBytes({ target, headers, body: small })
        return { kind, how: target.slice(0, 200), bytes, maybeSilent: false }
      }
      case 'odd request':
        return { kind, ...oddRequest(random), maybeSilent: true }
      case 'broken http':
        return { kind, ...brokenHttp(random), maybeSilent: true }
      default:
        return kind satisfies never
    }
  }
  return (index) => {
    const drawSeed = seedOf(seed, index)
    const random = createRandom(drawSeed)
    const image = made[index]
    return image === undefined ? draw(random.pick(kinds), random, drawSeed) : ofImage('made image', image, random)
  }
}

/** One value of an arbitrary, the same for the same seed. */
function one<T>(arbitrary: fc.Arbitrary<T>, seed: number): T {
  const [value] = fc.sample(arbitrary, { seed: seed | 0, numRuns: 1 })
  if (value === undefined) throw new Error('fast-check gave nothing')
  return value
}
