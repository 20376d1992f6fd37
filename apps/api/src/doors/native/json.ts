import { submissionSchema } from '@vision-queue/protocol'
import { z } from 'zod'

import { parseRequest } from '../../expectation.ts'
import type { Question } from '../../intake/submission.ts'
import { imageOfText } from './image-text.ts'
import { parseJsonBody } from './plain-json.ts'
import { questionOf, type SubmissionLimits } from './question.ts'

const jsonObjectSchema = z.record(z.string(), z.json())

/** `application/json`: an image is base64 or a data URI inside, the id of an upload, or the image's address. */
export function parseJsonSubmission(body: Uint8Array, limits: SubmissionLimits): Question {
  const { input: sent, ...envelope } = parseRequest(submissionSchema, parseJsonBody(body))
  const { image, images = [], ...rest } = sent
  const input = parseRequest(jsonObjectSchema, rest, { under: 'input' })
  const question = questionOf(envelope, { input, inputForm: 'json', dropsUnknownInput: false, images: [] }, limits)
  const texts =
    image === undefined
      ? images.map((text, index) => ({ field: `input.images.${index}`, text }))
      : [{ field: 'input.image', text: image }]
  return { ...question, images: texts.map(({ field, text }) => imageOfText(text, { field, ...limits })) }
}
