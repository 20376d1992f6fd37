import type { ErrorCode } from '@vision-queue/protocol'

/** What any submission may be refused for by the intake, whichever door it came by; for the documents of the doors. */
export const intakeRefusals = [
  'invalid_request',
  'model_not_found',
  'model_unavailable',
  'invalid_input',
  'image_not_found',
  'idempotency_conflict',
  'idempotency_in_flight',
  'quota_exceeded',
  'queue_full',
  'deadline_unmeetable',
  'queue_unavailable',
] as const satisfies readonly ErrorCode[]
