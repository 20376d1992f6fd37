import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

import { VisionQueueError } from '@vision-queue/protocol'
import type { ModelDirectory, ServedModel } from '@vision-queue/queue/producer'

import type { ApiHandler } from '../../api-env.ts'
import type { ApiSettings } from '../../config.ts'
import { groupByName } from '../../intake/model-choice.ts'
import { createOpenApi } from './openapi.ts'

/**
 * `GET /openapi.json`: with the models known now; without them where Redis can't be asked, or where they are
 * told only to who has a key, as everybody reads this.
 */
export function openApiDocument(
  models: ModelDirectory | null,
  { PUBLIC_URL }: Pick<ApiSettings, 'PUBLIC_URL'>,
): ApiHandler {
  return async (c) => {
    const known = models === null ? [] : await models.list().catch((): ServedModel[] => [])
    return c.json(createOpenApi(groupByName(known), PUBLIC_URL))
  }
}

/** The page; `files` is where its files are as seen from it, so that it works below any path of a proxy. */
const page = (files: string): string => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>vision-queue API</title>
    <link rel="stylesheet" href="${files}swagger-ui.css" />
    <link rel="icon" type="image/png" href="${files}favicon-32x32.png" />
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="${files}swagger-ui-bundle.js"></script>
    <script src="${files}start.js"></script>
  </body>
</html>
`

// By the script's own address. validatorUrl null: the page asks nobody outside.
const start = `const url = new URL('../openapi.json', document.currentScript.src).href
window.ui = SwaggerUIBundle({ url, dom_id: '#swagger-ui', validatorUrl: null })
`

const contentSecurityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** `GET /docs`: Swagger UI over /openapi.json, all of it from this server. */
export const docsPage: ApiHandler = (c) => {
  const { pathname } = new URL(c.req.url)
  return c.html(page(pathname.endsWith('/') ? '' : 'docs/'), 200, {
    'Content-Security-Policy': contentSecurityPolicy,
    'Cache-Control': 'no-cache',
  })
}

const contentTypes = new Map([
  ['swagger-ui.css', 'text/css; charset=utf-8'],
  ['swagger-ui-bundle.js', 'text/javascript; charset=utf-8'],
  ['favicon-32x32.png', 'image/png'],
])

/** `GET /docs/{file}`: the files of the page, by name; nothing else of the package is served. */
export const docsFile: ApiHandler = async (c) => {
  const file = c.req.param('file') ?? ''
  if (file === 'start.js') return c.body(start, 200, { 'Content-Type': 'text/javascript; charset=utf-8' })
  const contentType = contentTypes.get(file)
  if (contentType === undefined) throw new VisionQueueError('not_found', 'GET /docs is the page.')
  const path = createRequire(import.meta.url).resolve(`swagger-ui-dist/${file}`)
  return c.body(await readFile(path), 200, { 'Content-Type': contentType, 'Cache-Control': 'public, max-age=3600' })
}

/** `GET /`: what is where. */
export const whatIsWhere: ApiHandler = (c) =>
  c.json({
    name: 'vision-queue',
    submit: 'POST /jobs',
    jobs: 'GET /jobs',
    job: 'GET /jobs/{id}',
    cancel: 'POST /jobs/{id}/cancel',
    retry: 'POST /jobs/{id}/retry',
    events: 'GET /jobs/{id}/events',
    upload: 'POST /images',
    models: 'GET /models',
    health: 'GET /health',
    metrics: 'GET /metrics',
    schema: 'GET /openapi.json',
    docs: 'GET /docs',
    openai: 'POST /v1/chat/completions, GET /v1/models',
  })
