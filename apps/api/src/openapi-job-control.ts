import { answer, parameter, problems, requestId } from './openapi-parts.ts'

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
      parameters: [jobId, requestId],
      responses: {
        '202': answer('The new job', 'Job', {
          headers: { Location: { description: 'Where the new job is', schema: { type: 'string' } } },
        }),
        ...problems(
          'job_not_found',
          'model_not_found',
          'image_not_found',
          'job_not_retryable',
          'queue_full',
          'deadline_unmeetable',
          'queue_unavailable',
          'model_unavailable',
        ),
      },
    },
  },
}
