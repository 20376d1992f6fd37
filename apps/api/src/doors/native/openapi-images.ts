import {
  answer,
  bodyRefusals,
  file,
  imageRefusals,
  parameter,
  problems,
  rawImages,
  ref,
  requestId,
  text,
} from './openapi-parts.ts'

const imageId = parameter('path', 'id', 'The id that the upload was answered with', text)

const formSchema = {
  type: 'object',
  properties: { image: file },
  required: ['image'],
  additionalProperties: false,
}
const urlencodedSchema = {
  ...formSchema,
  properties: { image: { type: 'string', description: 'base64 or a data: URI' } },
}

/** The routes of uploaded images, for openApiPaths. */
export const imagePaths: Record<string, object> = {
  '/images': {
    post: {
      operationId: 'uploadImage',
      summary: 'Upload an image once, to ask many questions about it',
      tags: ['images'],
      parameters: [requestId],
      requestBody: {
        required: true,
        content: {
          'application/json': { schema: ref('Upload') },
          'multipart/form-data': { schema: formSchema },
          'application/x-www-form-urlencoded': { schema: urlencodedSchema },
          ...rawImages,
        },
      },
      responses: {
        '201': answer('The image can be used: its id as the "image" of submissions', 'Image', {
          headers: { Location: { description: 'Where the image is', schema: text } },
        }),
        ...problems(...bodyRefusals, ...imageRefusals, 'uploads_full', 'queue_unavailable'),
      },
    },
  },
  '/images/{id}': {
    get: {
      operationId: 'getImage',
      summary: 'What is known of an uploaded image, without its bytes',
      tags: ['images'],
      parameters: [imageId, requestId],
      responses: { '200': answer('The image', 'Image'), ...problems('image_not_found', 'queue_unavailable') },
    },
    delete: {
      operationId: 'removeImage',
      summary: 'End the use of an uploaded image; jobs that were submitted with it still get it',
      tags: ['images'],
      parameters: [imageId, requestId],
      responses: {
        '204': { description: 'It can be used no more' },
        ...problems('image_not_found', 'queue_unavailable'),
      },
    },
  },
}
