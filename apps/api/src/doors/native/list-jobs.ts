import { jobIdSchema, jobResponseSchema, jobStatusSchema } from '@vision-queue/protocol'
import type { JobClient, ListCursor } from '@vision-queue/queue/producer'
import { z } from 'zod'

import type { ApiHandler } from '../../api-env.ts'
import { parseRequest } from '../../expectation.ts'
import { jobResponse } from './job-response.ts'
import { filledQuery } from './query.ts'

const maxLimit = 100
const limit = `a whole number from 1 on; ${maxLimit} at most are given`
const cursor = 'the next_cursor of an earlier answer'

/** The query of `GET /jobs`; other names are passed over. */
export const listJobsQuerySchema = z.object({
  status: jobStatusSchema.optional(),
  model: z.string().min(1).max(200).optional(),
  cursor: z
    .string()
    .regex(/^\d{1,16}-job_[A-Za-z0-9_-]{21}$/, cursor)
    .transform((text): ListCursor => {
      const dash = text.indexOf('-')
      return { at: Number(text.slice(0, dash)), id: jobIdSchema.parse(text.slice(dash + 1)) }
    })
    .optional(),
  limit: z
    .string()
    .regex(/^\d+$/, limit)
    .transform(Number)
    .refine((value) => value >= 1, limit)
    .transform((value) => Math.min(value, maxLimit))
    .optional(),
})

export const jobListSchema = z.object({
  jobs: z.array(jobResponseSchema),
  next_cursor: z
    .string()
    .nullable()
    .describe('for the jobs after these, of which there may be none; null: these were the last'),
})

/** `GET /jobs`: the caller's own jobs, newest first, as long as their results are kept. */
export function listJobs(jobs: JobClient): ApiHandler {
  return async (c) => {
    const query = parseRequest(listJobsQuerySchema, filledQuery(c, Object.keys(listJobsQuerySchema.shape)))
    const { jobs: found, next } = await jobs.of(c.get('caller').owner).list({
      status: query.status ?? null,
      model: query.model ?? null,
      cursor: query.cursor ?? null,
      limit: query.limit ?? 20,
    })
    const list: z.infer<typeof jobListSchema> = {
      jobs: found.map((job) => jobResponse(job, c.get('addressOf'))),
      next_cursor: next === null ? null : `${next.at}-${next.id}`,
    }
    return c.json(list, 200, { 'Cache-Control': 'no-store' })
  }
}
