import { z } from 'zod'

import { unknownKind } from './unknown-kind.ts'

const tokenSchema = z.tuple([z.string(), z.int().min(0)])
const pieceSchema = z.union([
  z.strictObject({ SpecialToken: z.object({ id: z.string(), type_id: z.int().min(0) }) }),
  z.strictObject({ Sequence: z.object({ id: z.enum(['A', 'B']), type_id: z.int().min(0) }) }),
])

/** What tokenizer.json puts around a text; only its form for one text is used. */
export const postProcessorSchema: z.ZodType<PostProcessor> = z.discriminatedUnion(
  'type',
  [
    z.object({
      type: z.literal('TemplateProcessing'),
      single: z.array(pieceSchema),
      special_tokens: z.record(z.string(), z.object({ ids: z.array(z.int().min(0)) })),
    }),
    z.object({ type: z.enum(['BertProcessing', 'RobertaProcessing']), cls: tokenSchema, sep: tokenSchema }),
    // It moves offsets, which nobody asks for here.
    z.object({ type: z.literal('ByteLevel') }),
    z.object({
      type: z.literal('Sequence'),
      get processors() {
        return z.array(postProcessorSchema)
      },
    }),
  ],
  { error: unknownKind },
)
export type PostProcessor =
  | {
      type: 'TemplateProcessing'
      single: z.infer<typeof pieceSchema>[]
      special_tokens: Record<string, { ids: number[] }>
    }
  | {
      type: 'BertProcessing' | 'RobertaProcessing'
      cls: z.infer<typeof tokenSchema>
      sep: z.infer<typeof tokenSchema>
    }
  | { type: 'ByteLevel' }
  | { type: 'Sequence'; processors: PostProcessor[] }

/** A text's ids, and the number of the segment that each belongs to. */
export interface EncodedText {
  ids: number[]
  typeIds: number[]
}

/** The function of a post-processor; throws RangeError where a template names a token that it does not list. */
export function openPostProcessor(config: PostProcessor): (text: EncodedText) => EncodedText {
  switch (config.type) {
    case 'TemplateProcessing': {
      const parts = config.single.map((piece) => {
        if ('Sequence' in piece) return { ids: null, typeId: piece.Sequence.type_id }
        const { id, type_id: typeId } = piece.SpecialToken
        const token = config.special_tokens[id]
        if (token === undefined) throw new RangeError(`post_processor: ${id} is not among its special_tokens`)
        return { ids: token.ids, typeId }
      })
      return ({ ids }) => {
        const placed = parts.flatMap((part) => (part.ids ?? ids).map((id) => ({ id, typeId: part.typeId })))
        return { ids: placed.map(({ id }) => id), typeIds: placed.map(({ typeId }) => typeId) }
      }
    }
    case 'BertProcessing':
    case 'RobertaProcessing':
      return ({ ids, typeIds }) => ({ ids: [config.cls[1], ...ids, config.sep[1]], typeIds: [0, ...typeIds, 0] })
    case 'ByteLevel':
      return (text) => text
    case 'Sequence': {
      const steps = config.processors.map((step) => openPostProcessor(step))
      return (text) => steps.reduce((before, step) => step(before), text)
    }
    default:
      return config satisfies never
  }
}
