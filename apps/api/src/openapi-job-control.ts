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
}
