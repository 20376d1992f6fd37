import { submissionSchema } from '@vision-queue/protocol'
import { z } from 'zod'

import { parseRequest } from '../../expectation.ts'
import { imageOfText } from './image-text.ts'
import type { ParsedSubmission, SubmissionLimits } from './parsed-submission.ts'
import { assertInputFits, parseJsonBody } from './plain-json.ts'

const jsonObjectSchema = z.record(z.string(), z.json())

/** `application/json`: the image is base64 or a data URI inside, the id of an upload, or the image's address. */
export function parseJsonSubmission(body: Uint8Array, limits: SubmissionLimits): ParsedSubmission {
  const submission = parseRequest(submissionSchema, parseJsonBody(body))
  const { image, ...rest } = submission.input
  const parameters = submission.parameters ?? {}
  const metadata = submission.metadata ?? null
  assertInputFits({ rest, parameters, metadata }, limits.maxInputBytes)
  return {
    model: submission.model ?? null,
    input: parseRequest(jsonObjectSchema, rest, { under: 'input' }),
    inputFrom: 'json',
    image: imageOfText(image, { field: 'input.image', ...limits }),
    parameters,
    metadata,
    deadlineMs: submission.deadline_ms ?? null,
    cache: submission.cache ?? true,
    priority: submission.priority ?? 'normal',
  }
}
