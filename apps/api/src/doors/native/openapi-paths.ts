import { submissionSchema } from '@vision-queue/protocol'

import { maxWaitSeconds } from '../../config.ts'
import { intakeRefusals } from '../../intake/refusals.ts'
import { openAiPaths } from '../openai/openapi.ts'
import { imagePaths } from './openapi-images.ts'
import { jobControlPaths, listJobsOperation } from './openapi-job-control.ts'
import {
  acceptedHeaders,
  answer,
  bodyRefusals,
  file,
  idempotencyKey,
  imageRefusals,
  openProblems,
  parameter,
  problems,
  rawImages,
  ref,
  requestId,
  text,
  textFields,
  traceparent,
} from './openapi-parts.ts'

/** What a submission has beside its inputs, as text. */
const envelope = textFields(submissionSchema.omit({ input: true }))
const jobId = parameter('path', 'id', 'The id that the submission was answered with', { type: 'string' })
const seconds = { type: 'number', minimum: 0 }

/** Every route, by OpenAPI path and method. A test holds it against the routes that there are. */
export function openApiPaths(submissionExamples: Record<string, object>): Record<string, object> {
  return {
    '/jobs': {
      get: listJobsOperation,
      post: submitOperation(submissionExamples),
    },
    '/jobs/{id}': {
      get: {
        operationId: 'getJob',
        summary: 'A job, at once or when it is final',
        tags: ['jobs'],
        parameters: [
          jobId,
          parameter('query', 'wait', `how many seconds to wait for a final state; ${maxWaitSeconds} at most`, seconds),
          requestId,
        ],
        responses: {
          '200': answer('The job', 'Job'),
          ...problems('invalid_request', 'job_not_found', 'queue_unavailable'),
        },
      },
    },
    ...jobControlPaths,
    '/jobs/{id}/events': {
      get: {
        operationId: 'streamJob',
        summary: "A job's changes as server-sent events",
        tags: ['jobs'],
        parameters: [jobId, parameter('header', 'Last-Event-ID', 'the last event seen; it is not sent again', text)],
        responses: {
          '200': {
            description:
              'Events named "job": what the job is now, then each change, until it is final; data is a Job. ' +
              'Between them, of an answer that is being generated, events named "token": data is {"text", "index"}, ' +
              'a piece of the text and where in the whole it begins, in UTF-16 units; what was there before is replaced. ' +
              'Every event has an id: sent as Last-Event-ID, it brings what came after, of the text too. ' +
              'Before the final event of a job that succeeded they are the whole text',
            content: { 'text/event-stream': { schema: text } },
          },
          '204': { description: 'The final event has been seen' },
          ...problems('job_not_found', 'queue_unavailable'),
        },
      },
    },
    ...imagePaths,
    ...modelPaths(),
    ...openAiPaths,
    ...operationPaths(),
  }
}

function submitOperation(submissionExamples: Record<string, object>): object {
  return {
    operationId: 'submitJob',
    summary: 'Submit one job',
    description:
      "With the bytes of an image as the body, all else is in the query, the model's inputs by their names; other " +
      'names there are passed over.',
    tags: ['jobs'],
    parameters: [
      requestId,
      traceparent,
      idempotencyKey,
      parameter(
        'header',
        'Prefer',
        `wait=N: answer when the job is final, or after N seconds (at most ${maxWaitSeconds})`,
        text,
      ),
      ...Object.entries(envelope).map(([name, { description, ...schema }]) =>
        parameter('query', name, `${description}; in the query beside an image body only`, schema),
      ),
    ],
    requestBody: {
      required: true,
      content: {
        'application/json': { schema: ref('Submission'), examples: submissionExamples },
        'multipart/form-data': { schema: formSchema({ ...file, description: `a file, or as text: ${imageText}` }) },
        'application/x-www-form-urlencoded': { schema: formSchema({ ...text, description: imageText }) },
        ...rawImages,
      },
    },
    responses: {
      '200': answer('The final job, where the caller preferred to wait', 'Job'),
      '202': answer('The job is accepted', 'Job', {
        headers: acceptedHeaders('Where the job is'),
      }),
      ...problems(...bodyRefusals, ...imageRefusals, ...intakeRefusals, 'image_unreachable', 'fetches_full'),
    },
  }
}

function modelPaths(): Record<string, object> {
  return {
    '/models': {
      get: {
        operationId: 'listModels',
        summary: 'What can be run',
        tags: ['models'],
        responses: { '200': answer('All known models', 'ModelList'), ...problems('queue_unavailable') },
      },
    },
    '/models/{name}': {
      get: {
        operationId: 'getModel',
        summary: 'One model and its consumers',
        tags: ['models'],
        parameters: [parameter('path', 'name', "The model's name, without a version", text)],
        responses: {
          '200': answer('The model', 'ModelDetail'),
          ...problems('model_not_found', 'model_unavailable', 'queue_unavailable'),
        },
      },
    },
    '/models/{name}/load': orderOperation('load', 'Load a version, or all that the consumers are set to serve'),
    '/models/{name}/unload': orderOperation('unload', 'Take a version out, or all of them; waiting jobs stay queued'),
    '/models/{name}/reload': orderOperation('reload', 'Load the files anew; what is loaded serves until they are warm'),
  }
}

function operationPaths(): Record<string, object> {
  return {
    '/health': { get: health('health', 'The process answers', { '200': answer('It does', 'Health') }) },
    '/health/live': { get: health('live', 'The process answers', { '200': answer('It does', 'Health') }) },
    '/health/ready': {
      get: health('ready', 'Whether jobs can be accepted', {
        '200': answer('They can', 'Readiness'),
        '503': answer('They can not; names what is missing', 'Readiness'),
      }),
    },
    '/metrics': { get: page('metrics', 'Prometheus metrics', 'text/plain') },
    '/openapi.json': { get: page('openapi', 'This document', 'application/json') },
    '/docs': { get: page('docs', 'This document as a page', 'text/html') },
    '/': { get: page('root', 'What is where', 'application/json') },
  }
}

function orderOperation(action: string, summary: string): object {
  return {
    post: {
      operationId: `${action}Model`,
      summary,
      tags: ['models'],
      security: [{ ApiKey: [] }],
      parameters: [parameter('path', 'name', "The model's name, without a version", text)],
      requestBody: { required: false, content: { 'application/json': { schema: ref('ModelOrder') } } },
      responses: {
        '202': answer('The order stands; its effect shows in GET /models', 'AcceptedModelOrder'),
        ...problems('invalid_request', 'model_not_found', 'model_unavailable', 'queue_unavailable'),
      },
    },
  }
}

const imageText = 'base64, a data: URI, the id of an uploaded image or, where the server fetches images, an address'

/** A form that submits; `image` is what one image is in it. */
const formSchema = (image: object): object => ({
  type: 'object',
  description:
    'Images are the fields image or images, repeated for several, as many as the model takes. Every other field is an ' +
    'input of the model. A list is a repeated field, JSON, or items between commas. An empty field counts as left out.',
  properties: {
    image,
    images: { type: 'array', items: image },
    ...envelope,
  },
  additionalProperties: { type: 'string' },
})

function health(operationId: string, summary: string, responses: Record<string, object>): object {
  return { operationId, summary, tags: ['operation'], security: [], responses: { ...responses, ...openProblems() } }
}

function page(operationId: string, summary: string, type: string): object {
  const isOpen = operationId !== 'metrics'
  return {
    operationId,
    summary,
    tags: ['operation'],
    ...(isOpen ? { security: [] } : {}),
    responses: {
      '200': { description: summary, content: { [type]: {} } },
      ...(isOpen ? openProblems() : problems()),
    },
  }
}
