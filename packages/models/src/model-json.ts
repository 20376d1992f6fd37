import { z } from 'zod'

import { variantSchema } from './execution-options.ts'
import { preprocessorConfigSchema } from './preprocessor-config.ts'

const plainFile = /^(?!\/)(?!.*\.\.)[\w./-]+$/
const names = z.string().min(1)

/** Heads of the YOLO and SSD kinds. */
const detectionSchema = z.strictObject({
  boxes: names.optional().describe('the output with a box in each row or column; the first one'),
  scores: names.optional().describe('the output with their scores; without it they follow the box in the same row'),
  rows: z
    .enum(['scores', 'label'])
    .default('scores')
    .describe('label: a row is a box, its score and the number of its label, and nothing overlaps any more'),
  box_format: z
    .enum(['cxcywh', 'xywh', 'xyxy', 'yxyx'])
    .optional()
    .describe('centre and size, corner and size, or two corners; cxcywh, xyxy for rows with a label'),
  box_unit: z.enum(['pixels', 'fraction']).default('pixels').describe("of the graph's image"),
  objectness: z.boolean().default(false).describe('whether a score that there is anything follows the box'),
  background: z.enum(['none', 'first', 'last']).default('none').describe('whether one of the scores is of nothing'),
  overlap: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe('of boxes of one label that overlap by more (intersection over union) the best one stays; 0.45'),
  threshold: z.number().min(0).max(1).optional().describe('where a job names none; 0.5'),
})

/**
 * `model.json`, the one file that is ours. Only `task` is needed: the rest is for folders whose other
 * files don't say it. Unknown fields are refused: a misspelt one would do nothing.
 */
export const modelJsonSchema = z.strictObject({
  task: z.string().min(1).describe("Hugging Face's name of the task, such as visual-question-answering"),
  max_batch_size: z
    .int()
    .min(1)
    .max(1024)
    .default(32)
    .describe('the most jobs that share one session run; no more than a batch size that the graph fixes'),
  variant: variantSchema
    .optional()
    .describe(
      'which of the graphs runs, for the whole fleet; VARIANT of a consumer goes before it. See docs/models.md',
    ),
  inputs: z
    .strictObject({ image: names, input_ids: names, attention_mask: names, token_type_ids: names })
    .partial()
    .default({})
    .describe("the graph's names of its inputs, where they are others than Hugging Face's and there are several"),
  output: names.optional().describe('the output that is read, where there are several and none has the usual name'),
  layout: z.enum(['NCHW', 'NHWC']).optional().describe("where the input's dimensions leave it open; NCHW"),
  channels: z
    .enum(['RGB', 'BGR', 'L', 'RGBA', 'BGRA'])
    .optional()
    .describe('RGB, or L (grey) where the graph takes one channel; the fourth of four is opaque everywhere, 255'),
  preprocessing: preprocessorConfigSchema
    .optional()
    .describe("the fields of Hugging Face's preprocessor_config.json, instead of that file"),
  shrink_above_pixels: z
    .int()
    .min(0)
    .optional()
    .describe(
      'JPEGs and WebPs of more pixels are shrunk while they are read, twice as fast and a little less exact; SHRINK_ABOVE_PIXELS',
    ),
  activation: z
    .enum(['softmax', 'sigmoid', 'none'])
    .optional()
    .describe('what makes scores of the output; none where the graph ends in one itself, which is seen'),
  labels: z
    .union([z.array(z.string()).min(1), z.string().regex(plainFile, 'a list of labels, or a file in the folder')])
    .optional()
    .describe('instead of id2label in config.json: a list, or a file of one label a line or of index,label lines'),
  characters: z
    .union([z.array(z.string()).min(1), z.string().regex(plainFile, 'a list of characters, or a file in the folder')])
    .optional()
    .describe(
      'image-to-text by one graph: what its scores are of, in their order without the blank; a file has one a line',
    ),
  ctc_blank: z
    .enum(['first', 'last'])
    .default('first')
    .describe('where the score of the blank stands among those of the characters'),
  pooling: z
    .enum(['cls', 'mean'])
    .default('cls')
    .describe('of an output of one vector a token: the first, or the mean'),
  normalize: z.boolean().default(false).describe('whether embeddings are given the length 1'),
  logit_scale: z.number().gt(0).optional().describe('what cosine similarities of image and text are multiplied by'),
  logit_bias: z.number().optional().describe('what is added to them then, in models of the SigLIP kind'),
  pad_texts_to: z
    .int()
    .min(1)
    .max(8192)
    .optional()
    .describe('every text is filled up to so many tokens, as the model was trained with; longer ones are cut'),
  detection: detectionSchema
    .optional()
    .describe('object-detection: how the outputs tell of objects, where they are not those of the DETR kind'),
  sample_shapes: z
    .record(z.string(), z.array(z.int().min(0).max(16_384)).max(16))
    .optional()
    .describe(
      'tensors: a shape for each input that the graph runs with, for the warm-up, where it is not found by trying',
    ),
  max_output_bytes: z
    .int()
    .min(1)
    .max(256 * 1024 * 1024)
    .default(4 * 1024 * 1024)
    .describe(
      'tensors: the most bytes of outputs that a job gets, as they are in memory; JSON takes up to six times as many',
    ),
  cache: z
    .boolean()
    .default(true)
    .describe('whether an answer may serve later jobs that ask the same; false where the graph draws lots'),
  sha256: z
    .record(
      z.string().regex(plainFile, 'a file in the folder'),
      z.string().regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits'),
    )
    .default({})
    .describe('digests of files by their path in the folder; checked before the model is loaded'),
})
export type ModelJson = z.infer<typeof modelJsonSchema>
