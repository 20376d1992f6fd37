/** An error as it is logged. */
export interface LoggedError {
  type: string
  message: string
  stack?: string
  code?: string
  cause?: LoggedError | string
}

/**
 * An error for the log: what it is called, what it says and where it came from, and the same of its causes.
 * None of the other things that libraries hang on errors: Redis' carry the whole command, image and all.
 */
export function errorForLog(error: unknown): LoggedError | string {
  if (typeof error === 'string') return error
  if (!(error instanceof Error)) return 'something that is no error'
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return {
    type: error.name,
    message: error.message,
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(code === undefined ? {} : { code }),
    ...(error.cause === undefined ? {} : { cause: errorForLog(error.cause) }),
  }
}

/**
 * Options of every logger. Nothing that holds a key, a header or an input is logged on purpose; these are the
 * net under a careless line: errors without their luggage, and the names under which secrets travel left out.
 */
export const safeLogging = {
  serializers: { err: errorForLog, cause: errorForLog },
  redact: {
    paths: ['authorization', 'headers', 'key', 'token', 'input', 'image', 'redisUrl', '*.authorization', '*.headers'],
    censor: '[left out]',
  },
}
