import { jobStatusSchema } from '@vision-queue/protocol'

import { intakeRefusals } from '../../intake/refusals.ts'
import {
  acceptedHeaders,
  answer,
  idempotencyKey,
  parameter,
  problems,
  requestId,
  text,
  traceparent,
} from './openapi-parts.ts'

const jobId = parameter('path', 'id', 'The id that the submission was answered with', { type: 'string' })

/** The routes that act on accepted jobs, for openApiPaths. */
export const jobControlPaths: Record<string, object> = {
  '/jobs/{id}/cancel': {
    post: {
      operationId: 'cancelJob',
      summary:
        'Cancel a job: at once where it waits, before its batch launches where it runs, else its result is dropped',
      tags: ['jobs'],
      parameters: [jobId, requestId],
      responses: {
        '200': answer('The job: canceled, or as it ended before', 'Job'),
        ...problems('job_not_found', 'queue_unavailable'),
      },
    },
  },
  '/jobs/{id}/retry': {
    post: {
      operationId: 'retryJob',
      summary: 'Run a failed, canceled or expired job again, as a new job that names the old one in retry_of',
      tags: ['jobs'],
      parameters: [jobId, requestId, traceparent, idempotencyKey],
      responses: {
        '202': answer('The new job', 'Job', {
          headers: acceptedHeaders('Where the new job is'),
        }),
        ...problems('job_not_found', 'job_not_retryable', ...intakeRefusals),
      },
    },
  },
  '/models/{name}/purge': {
    post: {
      operationId: 'purgeModel',
      summary: 'Cancel every job that waits for the model; those that run go on',
      tags: ['models'],
      security: [{ ApiKey: [] }],
      parameters: [parameter('path', 'name', "The model's name, without a version", text)],
      responses: {
        '200': answer('How many there were', 'Purged'),
        ...problems('unauthorized', 'forbidden', 'model_not_found', 'model_unavailable', 'queue_unavailable'),
      },
    },
  },
}

export const listJobsOperation = {
  operationId: 'listJobs',
  summary: "The caller's own jobs, newest first",
  tags: ['jobs'],
  parameters: [
    parameter('query', 'status', 'only those in this state', { type: 'string', enum: jobStatusSchema.options }),
    parameter('query', 'model', 'only those of this model, by its name', text),
    parameter('query', 'cursor', 'next_cursor of the answer before', text),
    parameter('query', 'limit', 'how many at most; default 20, and no more than 100', { type: 'integer', minimum: 1 }),
    requestId,
  ],
  responses: { '200': answer('Some of them', 'JobList'), ...problems('invalid_request', 'queue_unavailable') },
}
