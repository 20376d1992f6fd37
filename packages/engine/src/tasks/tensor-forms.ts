import { VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import { answeredTensorSchema, tensorSchema, type WantedTensor } from './tensor-json.ts'

/** Which outputs a job gets, and how. */
export const tensorsParametersSchema = z.strictObject({
  outputs: z.array(z.string()).min(1).max(256).optional().describe('the outputs that are answered; default: all'),
  encoding: z
    .enum(['numbers', 'base64'])
    .default('numbers')
    .describe('numbers in a flat list, or all bytes, little-endian, as base64'),
})
/** The answer. */
export const tensorsOutputSchema = z.object({ outputs: z.record(z.string(), answeredTensorSchema) })

/** What this graph takes: announced, so that a job is refused before it is queued. */
export function ownTensorsSchema(inputs: ReadonlyMap<string, WantedTensor>, ofImage: readonly string[] = []) {
  const fields = [...inputs].map(([name, wanted]) => {
    const field = tensorSchema(wanted)
    return [name, ofImage.includes(name) ? field.optional() : field] as const
  })
  const all = z.strictObject(Object.fromEntries(fields))
  return z.strictObject({ tensors: fields.every(([name]) => ofImage.includes(name)) ? all.optional() : all })
}

/** The refusal of a job whose outputs have more bytes than the model's folder allows. */
export function tooMuch(bytes: number, most: number): VisionQueueError {
  return refused(
    'parameters.outputs',
    `outputs of ${most} bytes at most (they have ${bytes}; max_output_bytes of the model's model.json)`,
  )
}

/** The refusal of one field of a job. */
export function refused(field: string, expected: string): VisionQueueError {
  return new VisionQueueError('invalid_input', `${field}: expected ${expected}.`, { fields: [{ field, expected }] })
}
