import { z } from 'zod'

import { modelReferenceSchema } from './model.ts'
import { metadataSchema, prioritySchema } from './job-fields.ts'

const imageText = 'the image as base64, as a data: URI or as the id of an uploaded image'
const imageTextSchema = z.string(imageText).min(1, imageText)

/**
 * The body of `POST /jobs` as JSON. What `input` and `parameters` may hold is the model's to say
 * (its announced schemas); here only their outer form is checked. A field that is null, here or further in, counts as
 * left out: the parser of bodies drops it.
 */
export const submissionSchema = z.strictObject({
  model: modelReferenceSchema
    .nullish()
    .describe('name, name@version or name@alias; where it is left out, the only one there is or the default'),
  input: z
    .looseObject({
      image: imageTextSchema.optional().describe('of a model that takes one image'),
      images: z.array(imageTextSchema).optional().describe('of any model, in order, as many as it takes'),
    })
    .refine(({ image, images }) => image === undefined || images === undefined, {
      path: ['images'],
      error: 'left out beside "image"; of the two only one',
    })
    .describe(
      'the images, each as base64, a data: URI or the id that POST /images gave it or, where the server fetches images, its https: address, and the other inputs of the task, such as "question"',
    ),
  parameters: z.record(z.string(), z.json()).nullish().describe('see the parameters schema of the model'),
  cache: z
    .boolean()
    .nullish()
    .describe('false: compute it, whatever was answered before, and keep the answer for nobody else; default true'),
  priority: prioritySchema
    .nullish()
    .describe('low, normal or high: how much sooner or later than others it has its turn; default normal'),
  metadata: metadataSchema.nullish().describe('up to 16 strings that come back with the job'),
  deadline_ms: z
    .int()
    .min(1)
    .max(7 * 24 * 3600 * 1000)
    .nullish()
    .describe(
      'if the job has not started after so many milliseconds it ends as expired; without it, it waits as long as it takes',
    ),
})
export type Submission = z.infer<typeof submissionSchema>
