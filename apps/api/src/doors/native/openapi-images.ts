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

const uploadId = parameter('path', 'id', 'The id that the upload was begun with', text)
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
  '/uploads': {
    post: {
      operationId: 'beginUpload',
      summary: 'Begin an upload past this API, where its images are kept elsewhere',
      description:
        'The file then goes by PUT to the address in the answer, with the headers in the answer; it takes that file ' +
        'and no other. 404 `not_found` where the service keeps all images itself: POST /images is the way there.',
      tags: ['images'],
      parameters: [requestId],
      requestBody: { required: true, content: { 'application/json': { schema: ref('BeginUpload') } } },
      responses: {
        '201': answer('Where to send the file', 'BegunUpload'),
        ...problems(...bodyRefusals, 'not_found', 'uploads_full', 'queue_unavailable'),
      },
    },
  },
  '/uploads/{id}/complete': {
    post: {
      operationId: 'completeUpload',
      summary: 'End an upload past this API: the image can be used from now on',
      tags: ['images'],
      parameters: [uploadId, requestId],
      responses: {
        '201': answer('The image can be used: its id as the "image" of submissions', 'Image', {
          headers: { Location: { description: 'Where the image is', schema: text } },
        }),
        ...problems(
          'invalid_request',
          'not_found',
          'image_not_found',
          ...imageRefusals,
          'uploads_full',
          'queue_unavailable',
        ),
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
