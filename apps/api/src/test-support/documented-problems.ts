import { problemSchema } from '@vision-queue/protocol'
import { expect, onTestFinished } from 'vitest'
import { z } from 'zod'

import type { createApp } from '../app.ts'
import { openApiPaths } from '../doors/native/openapi-paths.ts'
import { openAiErrorSchema } from '../doors/openai/error-response.ts'

const operationSchema = z.object({ responses: z.record(z.string(), z.object({ description: z.string() })) })
const pathsSchema = z.record(z.string(), z.record(z.string(), operationSchema))

/** Fails the test in which a route answers with a code that the OpenAPI document doesn't list for that route. */
export function expectDocumentedProblems(app: ReturnType<typeof createApp>): void {
  const operations = Object.entries(pathsSchema.parse(openApiPaths({}))).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { responses }]) => ({
      method: method.toUpperCase(),
      path: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}/?$`),
      responses,
    })),
  )
  const undocumented = new Set<string>()
  const { fetch } = app
  app.fetch = async (request, ...rest) => {
    const response = await fetch(request, ...rest)
    const { method } = request
    // What tells of an error is in the body.
    if (method === 'HEAD') return response
    const told = await codeOf(response)
    if (told === null) return response
    const { pathname } = new URL(request.url)
    const operation = operations.find((known) => known.method === method && known.path.test(pathname))
    if (operation === undefined) return response
    const listed = operation.responses[String(response.status)]?.description.includes(`\`${told}\``) ?? false
    if (!listed) undocumented.add(`${method} ${pathname} ${response.status} ${told}`)
    return response
  }
  onTestFinished(() => expect([...undocumented]).toEqual([]))
}

/** The code that an answer tells as a problem document or in OpenAI's form; null where it is no error. */
async function codeOf(response: Response): Promise<string | null> {
  const type = response.headers.get('content-type')
  if (type === 'application/problem+json') return problemSchema.parse(await response.clone().json()).code
  if (response.status < 400 || type !== 'application/json') return null
  return openAiErrorSchema.safeParse(await response.clone().json()).data?.error.code ?? null
}
