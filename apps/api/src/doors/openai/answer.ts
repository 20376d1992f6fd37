import type { Job } from '@vision-queue/protocol'
import { z } from 'zod'

import type { Choices } from './choices-of-format.ts'

const oneTokenSchema = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()).nullable() })
/** By OpenAI's names, which are also those of the jobs. */
export const tokenLogprobSchema = oneTokenSchema.extend({ top_logprobs: z.array(oneTokenSchema) })
export type TokenLogprob = z.infer<typeof tokenLogprobSchema>

const usageSchema = z.object({
  prompt_tokens: z.int(),
  text_tokens: z.int().optional(),
  image_tokens: z.int().optional(),
  completion_tokens: z.int(),
  cached_images: z.int().optional(),
})
const listSchema = z.array(z.record(z.string(), z.json()))
const textSchema = z.object({
  text: z.string(),
  tokens: z.int().optional(),
  finish_reason: z.enum(['stop', 'length']).optional(),
  usage: usageSchema.optional(),
  images: listSchema.optional(),
  regions: listSchema.optional(),
  logprobs: z.array(tokenLogprobSchema).nullish(),
})
const answersSchema = z.object({ answers: z.array(z.object({ answer: z.string(), score: z.number() })) })
const labelsSchema = z.object({ labels: z.array(z.object({ label: z.string(), score: z.number() })) })
const verdictSchema = z.object({ label: z.string(), scores: z.record(z.string(), z.number()).optional() })

/** What a job's output says, whichever task it is of. */
export interface Answer {
  text: string
  finishReason: 'stop' | 'length'
  /** Null where the model counts no tokens. */
  usage: z.infer<typeof usageSchema> | null
  /** What the answer, or each of its tokens, is likely, and what else it could have been; null where that was not asked for. */
  logprobs: TokenLogprob[] | null
  /** How each image was looked at, where the model tells. */
  images: z.infer<typeof listSchema> | null
  /** The places that the text names, where the model tells. */
  regions: z.infer<typeof listSchema> | null
}

/** What of a request its answers are read by. */
export interface Asked {
  /** Whether logprobs were asked for. */
  logprobs: boolean
  /** The most tokens that were asked for. */
  maxTokens: number | null
  /** How many alternatives to tell of beside a scored answer. */
  topLogprobs: number
  writeLabel: Choices['write']
}

/** Reads the output of a job that succeeded. Throws where it has none of the forms that chatFormOf lets through. */
export function readAnswer(
  output: Job['output'],
  { maxTokens, logprobs: wanted, topLogprobs, writeLabel }: Asked,
): Answer {
  const said = textSchema.safeParse(output)
  if (said.success) {
    const { text, tokens = 0, finish_reason: finishReason, usage, logprobs, images, regions } = said.data
    // A model that doesn't say so was stopped by the limit if it has reached it.
    const isCut = maxTokens !== null && tokens >= maxTokens
    return {
      text,
      finishReason: finishReason ?? (isCut ? 'length' : 'stop'),
      usage: usage ?? (tokens > 0 ? { prompt_tokens: 0, completion_tokens: tokens } : null),
      logprobs: wanted ? (logprobs ?? null) : null,
      images: images ?? null,
      regions: regions ?? null,
    }
  }
  const ranked = rankedLabels(output)
  const [best] = ranked
  return {
    text: best === undefined ? '' : writeLabel(best.label),
    finishReason: 'stop',
    usage: null,
    logprobs: best === undefined || !wanted ? null : [scoredToken(ranked, topLogprobs)],
    images: null,
    regions: null,
  }
}

interface Scored {
  label: string
  score: number
}

/** The likeliest first. */
function rankedLabels(output: Job['output']): Scored[] {
  const answers = answersSchema.safeParse(output)
  if (answers.success) return answers.data.answers.map(({ answer, score }) => ({ label: answer, score }))
  const labels = labelsSchema.safeParse(output)
  if (labels.success) return labels.data.labels
  const { label, scores = {} } = verdictSchema.parse(output)
  const others = Object.entries(scores).map(([name, score]) => ({ label: name, score }))
  const ranked = others.toSorted((a, b) => b.score - a.score)
  return ranked.length === 0 ? [{ label, score: 1 }] : ranked
}

/** A whole answer as one token; its score as the logprob. */
function scoredToken(ranked: readonly Scored[], topLogprobs: number): TokenLogprob {
  const tokens = ranked.map(({ label, score }) => ({
    token: label,
    // What OpenAI's API writes for a token that is out of question.
    logprob: Math.max(-9999, Math.log(score)),
    bytes: [...Buffer.from(label)],
  }))
  const [best = { token: '', logprob: 0, bytes: [] }] = tokens
  return { ...best, top_logprobs: tokens.slice(0, topLogprobs) }
}
