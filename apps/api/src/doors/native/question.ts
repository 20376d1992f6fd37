import { submissionSchema } from '@vision-queue/protocol'
import type { z } from 'zod'

import type { Question } from '../../intake/submission.ts'
import { assertInputFits } from './plain-json.ts'

/** How large the parts of a submission may be, in bytes. */
export interface SubmissionLimits {
  maxImageBytes: number
  /** Text inputs, parameters and metadata together, as JSON. */
  maxInputBytes: number
  /** Whether an image may be given by its address. */
  fetchesImages: boolean
}

/** The fields of a submission beside its inputs, valid. */
export type Envelope = Omit<z.infer<typeof submissionSchema>, 'input'>

/** What every door's dialect comes down to. Throws `payload_too_large` if the inputs are. */
export function questionOf(
  envelope: Envelope,
  inputs: Pick<Question, 'input' | 'inputForm' | 'dropsUnknownInput' | 'images'>,
  { maxInputBytes }: Pick<SubmissionLimits, 'maxInputBytes'>,
): Question {
  const { parameters, metadata } = { parameters: envelope.parameters ?? {}, metadata: envelope.metadata ?? null }
  assertInputFits({ input: inputs.input, parameters, metadata }, maxInputBytes)
  return {
    ...inputs,
    model: envelope.model ?? null,
    strayNames: [],
    parameters,
    metadata,
    deadlineMs: envelope.deadline_ms ?? null,
    cache: envelope.cache ?? true,
    priority: envelope.priority ?? 'normal',
    retryOf: null,
  }
}
