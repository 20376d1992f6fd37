import { expect, test } from 'vitest'

import { contextIn, jobFields, parseTraceparent, requestFields } from './request-context.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const valid = `00-${traceId}-00f067aa0ba902b7-01`

test.each([valid, `00-${traceId}-00f067aa0ba902b7-00`, `00-${traceId}-00f067aa0ba902b7-ff`])(
  'the traceparent %s is kept as it is',
  (header) => {
    expect(parseTraceparent(header)).toBe(header)
  },
)

test.each([
  ['none', undefined],
  ['an empty one', ''],
  ['a trace id of zeros', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`],
  ['a parent id of zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
  ['capitals', valid.toUpperCase()],
  ['the forbidden version', `ff${valid.slice(2)}`],
  ['a later version', `01${valid.slice(2)}`],
  ['a later version with more fields', `cc${valid.slice(2)}-what`],
  ['more fields than version 00 has', `${valid}-00`],
  ['a short trace id', valid.replace(traceId, traceId.slice(1))],
  ['a long parent id', valid.replace('-01', '0-01')],
  ['letters that are no digits', valid.replace('4bf9', '4bg9')],
  ['no flags', valid.slice(0, -3)],
  ['spaces', ` ${valid}`],
  ['a line break', `${valid}\n`],
  ['two in one', `${valid}, ${valid}`],
])('a traceparent that is not valid is as none: %s', (_, header) => {
  expect(parseTraceparent(header)).toBeNull()
})

test('a log line names the job, its request and its trace', () => {
  const context = { requestId: 'req_1', traceparent: valid }
  expect(jobFields({ id: 'job_1', context })).toEqual({ job_id: 'job_1', request_id: 'req_1', trace_id: traceId })
  expect(jobFields({ id: 'job_1', context: { ...context, traceparent: null } })).toEqual({
    job_id: 'job_1',
    request_id: 'req_1',
  })
  expect(jobFields({ id: 'job_1' })).toEqual({ job_id: 'job_1', request_id: null })
  expect(requestFields(context)).toEqual({ request_id: 'req_1', trace_id: traceId })
})

test('the context is found in a job of an unknown shape, and nothing in what is none', () => {
  const context = { requestId: 'req_1', traceparent: null }
  expect(contextIn({ version: 99, context })).toEqual(context)
  for (const data of [null, 'text', {}, { context: { requestId: 1 } }]) expect(contextIn(data)).toBeNull()
})
