import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { describe, expect, it } from 'vitest'
import { z } from 'zod'

import type { Variant } from '@vision-queue/models'
import { loadModel } from './model.ts'
import type { TaskOutput } from './task-output.ts'
import { objectsSchema } from './tasks/object-detection.ts'
import type { TaskRequest } from './tasks/task.ts'

function modelsOf<Shape extends z.ZodRawShape>(shape: Shape) {
  const caseSchema = z.object({ image: z.string(), input: z.record(z.string(), z.json()), ...shape })
  return z.array(z.object({ model: z.string(), task: z.string(), cases: z.array(caseSchema).min(3) })).min(1)
}
/** Written by training/make_golden.py; pictures are named from the models folder on. */
const goldenSchema = z.object({
  /** Logits by label. */
  scores: modelsOf({ logits: z.record(z.string(), z.number()) }).length(4),
  embeddings: modelsOf({ embedding: z.array(z.number()).length(192) }),
  /** Of greedy search; `tokens` counts the end token. */
  texts: modelsOf({ text: z.string().min(1), tokens: z.int() }),
  /** What a detector is surer of than not, the surest first; boxes in pixels. */
  objects: modelsOf({ objects: objectsSchema.shape.objects }),
})
const repository = fileURLToPath(new URL('../../../models', import.meta.url))
const file = new URL('../test/golden-logits.json', import.meta.url)
const golden = goldenSchema.parse(JSON.parse(await readFile(file, 'utf8')))

/**
 * The arithmetic is the same but for rounding; what differs is how PIL and libvips decode and resize
 * (golden-pixels.test.ts), here with pictures shrunk while they are read. Some two times, or more, what
 * was measured: logits at most 0.03, 0.015, 0.11 and 0.14 apart; probabilities 0.0014 and, of shapes-clip, whose
 * phrases are close to each other, 0.037; cosines 0.99994. A wrong order of colours or scale is off by whole logits.
 */
const tolerance = {
  logit: [
    ['shapes-vqa', 0.06, 0.003],
    ['shapes-entailment', 0.03, 0.003],
    ['shapes-classify', 0.25, 0.003],
    ['shapes-clip', 0.3, 0.08],
  ] as const,
  cosine: { fp32: 0.9999, int8: 0.99 },
  /** Pixels, of pictures of 240 pixels and more. */
  box: { fp32: 2, int8: 12 },
}

const score = z.number()
const scoresSchema = z.union([
  z.object({ scores: z.record(z.string(), score) }).transform(({ scores }) => scores),
  z
    .object({ answers: z.array(z.object({ answer: z.string(), score })) })
    .transform(({ answers }) => Object.fromEntries(answers.map((each) => [each.answer, each.score]))),
  z
    .object({ labels: z.array(z.object({ label: z.string(), score })) })
    .transform(({ labels }) => Object.fromEntries(labels.map((each) => [each.label, each.score]))),
])
const embeddingSchema = z.object({ embedding: z.array(z.number()) })

/** Every label's score, where a task would give only the likeliest. */
const parametersByTask: Record<string, TaskRequest['parameters']> = {
  'visual-question-answering': { top_k: 50 },
  'image-classification': { top_k: 1000 },
}

interface GoldenModel<Case> {
  model: string
  task: string
  cases: readonly Case[]
}

/** Each case with what the shipped model answers, all in one batch. */
async function answer<Case extends { image: string; input: TaskRequest['input'] }>(
  { model: name, task, cases }: GoldenModel<Case>,
  variant: Variant,
): Promise<{ expected: Case; output: TaskOutput }[]> {
  const model = await loadModel({
    name,
    version: '1',
    folder: join(repository, name, '1'),
    intraOpThreads: 1,
    maxImagePixels: 1e7,
    execution: { variant },
  })
  try {
    expect(model.manifest).toMatchObject({ task, variant })
    const parameters = parametersByTask[task] ?? {}
    const jobs = await Promise.all(
      cases.map(async ({ image, input }) =>
        model.prepare({ images: [await readFile(join(repository, image))], input, parameters }),
      ),
    )
    const outputs = await model.run(jobs)
    return cases.map((expected, index) => {
      const output = outputs[index]
      if (output === undefined || output instanceof Error) throw output ?? new Error('no answer')
      return { expected, output }
    })
  } finally {
    await model.close()
  }
}

function likeliest(byLabel: Record<string, number>): string {
  return Object.entries(byLabel).reduce((best, each) => (each[1] > best[1] ? each : best), ['', -Infinity])[0]
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) =>
    x.reduce((sum, each, at) => sum + each * (y[at] ?? NaN), 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

/** fp32, and int8 where the model has it. */
function variantsOf<Case>(models: readonly GoldenModel<Case>[]) {
  return models.flatMap((model) => {
    const graphs = readdirSync(join(repository, model.model, '1', 'onnx'))
    const fp32 = { ...model, variant: 'fp32' as const }
    return graphs.some((name) => name.endsWith('_int8.onnx')) ? [fp32, { ...model, variant: 'int8' as const }] : [fp32]
  })
}

describe('from picture file to answer, a shipped model gives what PyTorch and PIL give', () => {
  it.each(tolerance.logit)(
    '%s in fp32: every logit within %d, every probability within %d',
    async (name, logitTolerance, probabilityTolerance) => {
      const model = golden.scores.find((each) => each.model === name)
      if (model === undefined) throw new Error(`nothing is known of ${name}`)
      const compared = (await answer(model, 'fp32')).flatMap(({ expected: { image, logits }, output }) => {
        const scores = scoresSchema.parse(output)
        expect(Object.keys(scores).toSorted()).toEqual(Object.keys(logits).toSorted())
        // The logarithm of a score is its logit less what all logits have in common.
        const common = Math.log(Object.values(logits).reduce((sum, logit) => sum + Math.exp(logit), 0))
        return Object.entries(logits).map(([label, logit]) => {
          const [probability, wanted] = [scores[label] ?? NaN, Math.exp(logit - common)]
          return { image, label, probability, wanted, logits: [Math.log(probability) + common, logit] as const }
        })
      })
      const far = compared.filter(({ probability, wanted, logits: [made, given] }) => {
        const near = Math.abs(made - given) <= logitTolerance
        return !(near && Math.abs(probability - wanted) <= probabilityTolerance)
      })
      expect(far).toEqual([])
    },
  )

  it.each(variantsOf(golden.scores))('$model ($task) in $variant: the same likeliest label', async (model) => {
    const answers = await answer(model, model.variant)
    const labels = answers.map(({ expected, output }) => [expected.image, likeliest(scoresSchema.parse(output))])
    expect(labels).toEqual(answers.map(({ expected }) => [expected.image, likeliest(expected.logits)]))
  })

  it.each(variantsOf(golden.embeddings))(
    `$model ($task) in $variant: embeddings with a cosine of ${tolerance.cosine.fp32} (int8: ${tolerance.cosine.int8}) or more, also of shapes-clip's pictures`,
    async (model) => {
      const compared = (await answer(model, model.variant)).map(({ expected, output }) => {
        const { embedding } = embeddingSchema.parse(output)
        expect(embedding).toHaveLength(expected.embedding.length)
        return { image: expected.image, cosine: cosine(embedding, expected.embedding) }
      })
      expect(compared.filter((each) => !(each.cosine >= tolerance.cosine[model.variant]))).toEqual([])
    },
  )

  it.each(variantsOf(golden.objects))(
    `$model ($task) in $variant: the same objects, every edge within ${tolerance.box.fp32} pixels (int8: ${tolerance.box.int8})`,
    async (model) => {
      const compared = (await answer(model, model.variant)).map(({ expected, output }) => {
        const [made, given] = [objectsSchema.parse(output).objects, expected.objects].map((objects) =>
          // From the left: two scores may be close to each other.
          objects.toSorted((a, b) => a.box.xmin - b.box.xmin),
        )
        expect(made?.map(({ label }) => label)).toEqual(given?.map(({ label }) => label))
        const edges = [made, given].map((objects) => objects?.flatMap(({ box }) => Object.values(box)) ?? [])
        return { image: expected.image, off: edges[0]?.map((at, index) => Math.abs(at - (edges[1]?.[index] ?? NaN))) }
      })
      expect(compared.filter(({ off }) => !off?.every((each) => each <= tolerance.box[model.variant]))).toEqual([])
    },
  )

  it.each(variantsOf(golden.texts))('$model ($task) in $variant: the same words and tokens', async (model) => {
    const answers = await answer(model, model.variant)
    expect(answers.map(({ output }) => output)).toEqual(
      answers.map(({ expected: { text, tokens } }) => ({ text, tokens })),
    )
  })
})
