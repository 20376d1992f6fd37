import type { Row } from './row.ts'

const quantile = (share: number, metric: string, by: string, where = ''): string =>
  `histogram_quantile(${share}, sum by (${by}, le) (rate(${metric}_bucket{model=~"$model"${where}}[$__rate_interval])))`

/** How jobs fare, by model. */
export const jobRows: readonly Row[] = [
  {
    title: 'Jobs',
    graphs: [
      {
        title: 'Accepted and refused',
        description: 'Submissions a second, of all API processes together.',
        unit: 'reqps',
        expressions: {
          '{{model}}': 'sum by (model) (rate(vision_queue_jobs_submitted_total{model=~"$model"}[$__rate_interval]))',
          'refused: {{code}}': 'sum by (code) (rate(vision_queue_jobs_refused_total[$__rate_interval]))',
        },
      },
      {
        title: 'Finished',
        description: 'Jobs a second by how they ended.',
        unit: 'reqps',
        expressions: {
          '{{model}} {{status}}':
            'sum by (model, status) (rate(vision_queue_jobs_finished_total{model=~"$model"}[$__rate_interval]))',
        },
      },
      {
        title: 'Failures',
        description: 'Accepted jobs a second that ended without an answer, by error code.',
        unit: 'reqps',
        expressions: {
          '{{model}} {{code}}':
            'sum by (model, code) (rate(vision_queue_jobs_failed_total{model=~"$model"}[$__rate_interval]))',
        },
      },
      {
        title: 'Attempts',
        description: 'Jobs taken a second. Takeovers: a consumer died with the job.',
        unit: 'reqps',
        expressions: {
          '{{model}} {{kind}}':
            'sum by (model, kind) (rate(vision_queue_job_attempts_total{model=~"$model"}[$__rate_interval]))',
        },
      },
      {
        title: 'Answers that were known',
        description: 'Submissions that an earlier answer could serve, by where one was found.',
        unit: 'reqps',
        expressions: {
          '{{model}} {{from}}':
            'sum by (model, from) (rate(vision_queue_answers_total{model=~"$model"}[$__rate_interval]))',
        },
      },
    ],
  },
  {
    title: 'Time',
    graphs: [
      {
        title: 'From submission to result',
        description: 'Half, 95 and 99 of 100 jobs took no longer.',
        unit: 's',
        expressions: {
          '{{model}} p50': quantile(0.5, 'vision_queue_job_duration_seconds', 'model'),
          '{{model}} p95': quantile(0.95, 'vision_queue_job_duration_seconds', 'model'),
          '{{model}} p99': quantile(0.99, 'vision_queue_job_duration_seconds', 'model'),
        },
      },
      {
        title: 'Waiting in the queue',
        description: 'Until a consumer took the job.',
        unit: 's',
        expressions: {
          '{{model}} p50': quantile(0.5, 'vision_queue_job_stage_seconds', 'model', ',stage="queue"'),
          '{{model}} p99': quantile(0.99, 'vision_queue_job_stage_seconds', 'model', ',stage="queue"'),
        },
      },
      {
        title: 'Where the time goes',
        description: 'Mean of each stage.',
        unit: 's',
        expressions: {
          '{{model}} {{stage}}':
            'sum by (model, stage) (rate(vision_queue_job_stage_seconds_sum{model=~"$model"}[$__rate_interval]))' +
            ' / (sum by (model, stage) (rate(vision_queue_job_stage_seconds_count{model=~"$model"}[$__rate_interval])) > 0)',
        },
      },
      {
        title: 'Stages, 99 of 100',
        description: 'The 99th percentile of each stage.',
        unit: 's',
        expressions: { '{{model}} {{stage}}': quantile(0.99, 'vision_queue_job_stage_seconds', 'model, stage') },
      },
    ],
  },
  {
    title: 'Generated text',
    graphs: [
      {
        title: 'Tokens',
        description: 'Tokens a second of models that count them.',
        unit: 'short',
        expressions: {
          '{{model}} {{kind}}':
            'sum by (model, kind) (rate(vision_queue_tokens_total{model=~"$model"}[$__rate_interval]))',
        },
      },
      {
        title: 'Time to first token',
        description: 'From the submission of a job. Half and 99 of 100 took no longer.',
        unit: 's',
        expressions: {
          '{{model}} p50': quantile(0.5, 'vision_queue_time_to_first_token_seconds', 'model'),
          '{{model}} p99': quantile(0.99, 'vision_queue_time_to_first_token_seconds', 'model'),
        },
      },
      {
        title: 'Time per token',
        description: 'Of the tokens of an answer after the first. Half and 99 of 100 answers took no longer.',
        unit: 's',
        expressions: {
          '{{model}} p50': quantile(0.5, 'vision_queue_time_per_output_token_seconds', 'model'),
          '{{model}} p99': quantile(0.99, 'vision_queue_time_per_output_token_seconds', 'model'),
        },
      },
      {
        title: 'Prefill and decode of a job',
        description: 'In its engine: until its first token, and from there to its last. 99 of 100 took no longer.',
        unit: 's',
        expressions: {
          '{{model}} prefill': quantile(0.99, 'vision_queue_job_prefill_seconds', 'model'),
          '{{model}} decode': quantile(0.99, 'vision_queue_job_decode_seconds', 'model'),
        },
      },
    ],
  },
  {
    title: 'Queue',
    graphs: [
      {
        title: 'Waiting and running',
        description: 'Unfinished jobs.',
        unit: 'short',
        expressions: {
          '{{model}} waiting': 'sum by (model) (vision_queue_jobs_waiting{model=~"$model"})',
          '{{model}} running': 'sum by (model) (vision_queue_jobs_running{model=~"$model"})',
          '{{model}} unfinished': 'sum by (model) (vision_queue_queue_jobs{model=~"$model"})',
        },
      },
      {
        title: 'Oldest job that waits',
        description: 'Its age.',
        unit: 's',
        expressions: { '{{model}}': 'max by (model) (vision_queue_oldest_waiting_job_seconds{model=~"$model"})' },
      },
      {
        title: 'Time to finish what is queued',
        description: 'At the present capacity; with no consumer, by one.',
        unit: 's',
        expressions: { '{{model}}': 'max by (model) (vision_queue_drain_seconds{model=~"$model"})' },
      },
      {
        title: 'Image bytes in the queue',
        description: 'Of unfinished jobs.',
        unit: 'bytes',
        expressions: { '{{model}}': 'sum by (model) (vision_queue_queue_bytes{model=~"$model"})' },
      },
    ],
  },
]
