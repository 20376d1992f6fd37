import { z } from 'zod'

/** A question about an image. */
export const chatQuestionSchema = z.object({
  /** The image's file, and its media type. */
  file: z.string(),
  type: z.string(),
  prompt: z.string(),
})
export type ChatQuestion = z.infer<typeof chatQuestionSchema>

/** Clients each of which asks its next question when it has the answer to the one before, as a stream. */
export const chatPlanSchema = z.object({
  /** Of a server with `POST /v1/chat/completions`. */
  url: z.string(),
  model: z.string(),
  clients: z.int().min(1),
  questions: z.array(chatQuestionSchema).min(1),
})
export type ChatPlan = z.infer<typeof chatPlanSchema>
