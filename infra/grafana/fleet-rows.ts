import type { Row } from './row.ts'

/** How the processes fare that serve jobs. */
export const fleetRows: readonly Row[] = [
  {
    title: 'API',
    graphs: [
      {
        title: 'Requests',
        description: 'Answered requests a second by status.',
        unit: 'reqps',
        expressions: { '{{status}}': 'sum by (status) (rate(vision_queue_http_requests_total[$__rate_interval]))' },
      },
      {
        title: 'Time of requests',
        description: '99 of 100 took no longer, by route. Long-polls and waits for a result are among them.',
        unit: 's',
        expressions: {
          '{{method}} {{route}}':
            'histogram_quantile(0.99, sum by (route, method, le) (rate(vision_queue_http_request_duration_seconds_bucket[$__rate_interval])))',
        },
      },
      {
        title: 'Open requests and streams',
        description: 'Requests without an answer yet, and event streams.',
        unit: 'short',
        expressions: {
          'requests {{instance}}': 'vision_queue_http_requests_in_flight',
          'streams {{route}}': 'sum by (route) (vision_queue_http_open_streams)',
        },
      },
      {
        title: 'Event loop',
        description: 'How long it stood still, 99 of 100 times no longer.',
        unit: 's',
        expressions: { '{{instance}}': 'nodejs_eventloop_lag_p99_seconds' },
      },
      {
        title: 'CPU and memory of processes',
        description: 'Cores and resident bytes of everything that is scraped.',
        unit: 'short',
        expressions: {
          'cores {{job}} {{instance}}': 'rate(process_cpu_seconds_total[$__rate_interval])',
          'GiB {{job}} {{instance}}': 'process_resident_memory_bytes / 2^30',
        },
      },
      {
        title: 'Releases',
        description: 'Processes of each release.',
        unit: 'short',
        expressions: { '{{part}} {{release}}': 'count by (part, release) (vision_queue_build_info)' },
      },
    ],
  },
  {
    title: 'Consumers',
    graphs: [
      {
        title: 'Consumers and engines',
        description: 'Live consumers, and engines that can take jobs or are down.',
        unit: 'short',
        expressions: {
          '{{model}} consumers': 'sum by (model) (vision_queue_consumers{model=~"$model"})',
          '{{model}} engines {{state}}': 'sum by (model, state) (vision_queue_engines{model=~"$model"})',
        },
      },
      {
        title: 'Capacity',
        description: 'Jobs a second that all consumers get through when there is always work.',
        unit: 'reqps',
        expressions: { '{{model}}': 'sum by (model) (vision_queue_capacity_jobs_per_second{model=~"$model"})' },
      },
      {
        title: 'Size of batches',
        description: 'Mean jobs of a session run.',
        unit: 'short',
        expressions: {
          '{{model}}':
            'sum by (model) (rate(vision_queue_job_stage_seconds_count{model=~"$model",stage="inference"}[$__rate_interval]))' +
            ' / (sum by (model) (rate(vision_queue_batches_total{model=~"$model"}[$__rate_interval])) > 0)',
        },
      },
      {
        title: 'Why batches were launched',
        description: 'Launches a second by reason.',
        unit: 'reqps',
        expressions: {
          '{{model}} {{reason}}':
            'sum by (model, reason) (rate(vision_queue_launches_total{model=~"$model"}[$__rate_interval]))',
        },
      },
      {
        title: 'Inference by consumer',
        description: 'Seconds of session runs in a second.',
        unit: 'short',
        expressions: {
          '{{model}} {{consumer}}':
            'sum by (model, consumer) (rate(vision_queue_inference_seconds_total{model=~"$model"}[$__rate_interval]))',
        },
      },
      {
        title: 'Engines that died',
        description: 'And were started again, in the last quarter of an hour.',
        unit: 'short',
        expressions: {
          '{{model}}': 'sum by (model) (increase(vision_queue_engine_restarts_total{model=~"$model"}[15m]))',
        },
      },
      {
        title: 'CPU of consumers',
        description: 'Cores, of the consumer itself and of its engines.',
        unit: 'short',
        expressions: {
          '{{consumer}} {{part}}':
            'sum by (consumer, part) (rate(vision_queue_consumer_cpu_seconds_total[$__rate_interval]))',
        },
      },
      {
        title: 'Memory of consumers',
        description: 'Resident, with their engines.',
        unit: 'bytes',
        expressions: { '{{consumer}}': 'vision_queue_consumer_resident_bytes' },
      },
      {
        title: 'Models',
        description: 'Versions by status.',
        unit: 'short',
        expressions: { '{{status}}': 'count by (status) (vision_queue_model_status)' },
      },
    ],
  },
  {
    title: 'Generated text',
    graphs: [
      {
        title: 'Running and waiting answers',
        description: 'In engines. Many that wait while few run: memory of keys and values is short.',
        unit: 'short',
        expressions: { '{{model}} {{state}}': 'sum by (model, state) (vision_queue_sequences{model=~"$model"})' },
      },
      {
        title: 'Keys and values',
        description: 'Reserved by running answers, held by them, and the limit (GENERATION_CACHE_MB of each engine).',
        unit: 'bytes',
        expressions: {
          '{{model}} {{state}}': 'sum by (model, state) (vision_queue_kv_cache_bytes{model=~"$model"})',
          '{{model}} limit': 'sum by (model) (vision_queue_kv_cache_limit_bytes{model=~"$model"})',
        },
      },
      {
        title: 'Steps by phase',
        description: 'Seconds in a second: images encoded, prompts read, tokens generated.',
        unit: 'short',
        expressions: {
          '{{model}} {{phase}}':
            'sum by (model, phase) (rate(vision_queue_generation_seconds_total{model=~"$model"}[$__rate_interval]))',
        },
      },
      {
        title: 'Images that were known',
        description: 'Images of conversations a second, by whether their features were there.',
        unit: 'reqps',
        expressions: {
          '{{model}} {{outcome}}':
            'sum by (model, outcome) (rate(vision_queue_feature_cache_images_total{model=~"$model"}[$__rate_interval]))',
        },
      },
    ],
  },
  {
    title: 'GPUs',
    graphs: [
      {
        title: 'Utilization',
        description: 'Each GPU once, however many consumers tell of it.',
        unit: 'percentunit',
        expressions: { '{{uuid}}': 'max by (uuid) (vision_queue_gpu_utilization_ratio)' },
      },
      {
        title: 'Memory',
        description: 'In use, and all of it.',
        unit: 'bytes',
        expressions: {
          '{{uuid}} used': 'max by (uuid) (vision_queue_gpu_memory_used_bytes)',
          '{{uuid}} total': 'max by (uuid) (vision_queue_gpu_memory_total_bytes)',
        },
      },
      {
        title: 'Temperature',
        description: 'Of each GPU.',
        unit: 'celsius',
        expressions: { '{{uuid}}': 'max by (uuid) (vision_queue_gpu_temperature_celsius)' },
      },
      {
        title: 'Power',
        description: 'Of each GPU.',
        unit: 'watt',
        expressions: { '{{uuid}}': 'max by (uuid) (vision_queue_gpu_power_watts)' },
      },
    ],
  },
  {
    title: 'Redis',
    graphs: [
      {
        title: 'Memory',
        description: 'In use, and its limit (0: none).',
        unit: 'bytes',
        expressions: {
          'used {{node}}': 'max by (node) (vision_queue_redis_memory_used_bytes)',
          'limit {{node}}': 'max by (node) (vision_queue_redis_memory_max_bytes)',
        },
      },
      {
        title: 'Answer time',
        description: 'Of a PING at each scrape.',
        unit: 's',
        expressions: { '{{node}}': 'max by (node) (vision_queue_redis_answer_seconds)' },
      },
      {
        title: 'Health',
        description: '1: reached, append-only file written, snapshot written.',
        unit: 'short',
        expressions: {
          'reached by {{instance}}': 'vision_queue_redis_up',
          'append-only {{node}}': 'min by (node) (vision_queue_redis_append_only_ok)',
          'snapshot {{node}}': 'min by (node) (vision_queue_redis_snapshot_ok)',
          'connections {{node}}': 'max by (node) (vision_queue_redis_clients)',
        },
      },
    ],
  },
]
