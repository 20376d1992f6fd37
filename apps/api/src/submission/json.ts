import { submissionSchema } from '@vision-queue/jobs'
import { z } from 'zod'

import { parseRequest } from '../expectation.ts'
import { asAddress, asUpload, decodeImageText } from './image.ts'
import type { ParsedSubmission, SubmissionLimits } from './parsed-submission.ts'
import { assertInputFits, parseJsonBody } from './plain-json.ts'

const jsonObjectSchema = z.record(z.string(), z.json())

/** `application/json`: the image is base64 or a data URI inside, the id of an upload, or the image's address. */
export function parseJsonSubmission(body: Uint8Array, limits: SubmissionLimits): ParsedSubmission {
  const submission = parseRequest(submissionSchema, parseJsonBody(body))
  const { image, ...rest } = submission.input
  const field = 'input.image'
  const { parameters = {}, metadata = null } = submission
  assertInputFits({ rest, parameters, metadata }, limits.maxInputBytes)
  return {
    model: submission.model ?? null,
    input: parseRequest(jsonObjectSchema, rest, { under: 'input' }),
    inputIsText: false,
    image: asUpload(image) ??
      asAddress(image, { field, ...limits }) ?? { kind: 'bytes', bytes: decodeImageText(image, { field, ...limits }) },
    parameters,
    metadata,
    deadlineMs: submission.deadline_ms ?? null,
    cache: submission.cache ?? true,
    priority: submission.priority ?? 'normal',
  }
}
