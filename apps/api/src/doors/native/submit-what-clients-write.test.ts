import { describe, expect, test } from 'vitest'

import {
  asForm,
  asJson,
  asked,
  asRaw,
  asUrlencoded,
  boundary,
  crlf,
  file,
  form,
  image,
  jobOf,
  json,
  multipart,
  plain,
  question,
  type Sent,
} from '../../test-support/client-bodies.ts'
import { png } from '../../test-support/images.ts'

describe('is the plain question, whatever else a client writes', () => {
  const unset = { model: null, parameters: null, metadata: null, deadline_ms: null, priority: null, cache: null }
  test.each<[string, Sent]>([
    ['JSON', asJson({})],
    ['JSON whose fields that are not set are null', asJson(unset)],
    ['null in the input', asJson({ input: { image, question, page: null, candidate_labels: null, other: null } })],
    ['null in the parameters', asJson({ parameters: { top_k: null }, webhook: null })],
    ['JSON with a byte order mark', { type: 'application/json', body: `\ufeff${json}` }],
    [
      'JSON with line breaks in its base64',
      { type: 'application/json', body: json.replace(image, image.replace(/.{20}/g, '$&\r\n')) },
    ],
    ['JSON by other names', asJson({}, 'application/vnd.api+json')],
    ['JSON with a charset', asJson({}, 'application/json; charset=utf-8')],
    ['text/json', asJson({}, 'Text/JSON;charset=UTF-8')],
    ['JSON as text, as fetch announces a string', asJson({}, 'text/plain;charset=UTF-8')],
    ['JSON as a form, as curl -d announces it', asJson({}, 'application/x-www-form-urlencoded')],
    ['JSON after white space as a form', { type: 'application/x-www-form-urlencoded', body: `\n  ${json}` }],
    ['JSON as bytes', asJson({}, 'application/octet-stream')],
    ['JSON without a type', asJson({}, null)],
    ['JSON in the coding identity', { ...asJson({}), headers: { 'Content-Encoding': 'Identity' } }],
    ['JSON beside a tracker and a cache buster', { ...asJson({}), query: '?utm_source=mail&_=17&nocache=1&foo=bar' }],
    ['a form', asForm()],
    [
      'a form with fields that are empty',
      asForm(
        ...[
          'model',
          'parameters',
          'metadata',
          'deadline_ms',
          'priority',
          'cache',
          'page',
          'candidate_labels',
          'unknown',
        ].map((name) => ({ name, content: '' })),
      ),
    ],
    [
      'a form with a file field that is empty',
      asForm({ name: 'mask', more: '; filename=""', headers: ['Content-Type: application/octet-stream'], content: '' }),
    ],
    [
      'two fields for the image, one of them empty',
      asForm({
        name: 'image',
        more: '; filename=""',
        headers: ['Content-Type: application/octet-stream'],
        content: '',
      }),
    ],
    [
      'parameters that are JSON null',
      asForm({ name: 'parameters', content: 'null' }, { name: 'metadata', content: 'null' }),
    ],
    ['an image without a filename', { type: multipart, body: form([asked, { ...file, more: '' }]) }],
    ['an image without filename and type', { type: multipart, body: form([asked, { name: 'image', content: png }]) }],
    [
      'an image of a wrong type',
      { type: multipart, body: form([asked, { ...file, headers: ['Content-Type: text/plain'] }]) },
    ],
    [
      'an image in base64 by its transfer encoding',
      {
        type: multipart,
        body: form([
          asked,
          {
            ...file,
            headers: ['Content-Type: image/png', 'Content-Transfer-Encoding: base64'],
            content: image.replace(/.{20}/g, '$&\r\n'),
          },
        ]),
      },
    ],
    [
      'a binary transfer encoding',
      { type: multipart, body: form([asked, { ...file, headers: ['Content-Transfer-Encoding: BINARY'] }]) },
    ],
    ['an image as base64', { type: multipart, body: form([asked, { name: 'image', content: image }]) }],
    [
      'an image as a data: URI',
      { type: multipart, body: form([asked, { name: 'image', content: `data:image/png;base64,${image}` }]) },
    ],
    [
      'an image as a Blob of text',
      {
        type: multipart,
        body: form([
          asked,
          { name: 'image', more: '; filename="blob"', headers: ['Content-Type: text/plain'], content: image },
        ]),
      },
    ],
    [
      'a data: URI as a Blob',
      {
        type: multipart,
        body: form([
          asked,
          {
            name: 'image',
            more: '; filename="blob"',
            headers: ['Content-Type: application/octet-stream'],
            content: `data:;base64,${image}`,
          },
        ]),
      },
    ],
    ['an image in a list of one', { type: multipart, body: form([asked, { ...file, name: 'image[]' }]) }],
    [
      'a filename in Latin-1',
      { type: multipart, body: form([asked, { ...file, more: '; filename="Gr\u00f6\u00dfe.png"' }]) },
    ],
    [
      'a question as a Blob',
      {
        type: multipart,
        body: form([
          { ...asked, more: '; filename="blob"', headers: ['Content-Type: text/plain;charset=UTF-8'] },
          file,
        ]),
      },
    ],
    [
      'a question as a file of unknown type',
      {
        type: multipart,
        body: form([
          { ...asked, more: '; filename="q.txt"', headers: ['Content-Type: application/octet-stream'] },
          file,
        ]),
      },
    ],
    [
      'a question as JSON',
      {
        type: multipart,
        body: form([
          { ...asked, headers: ['Content-Type: application/json'], content: JSON.stringify(question) },
          file,
        ]),
      },
    ],
    [
      'a question in UTF-16',
      {
        type: multipart,
        body: form([
          {
            ...asked,
            headers: ['Content-Type: text/plain; charset="utf-16le"'],
            content: Buffer.from(question, 'utf16le'),
          },
          file,
        ]),
      },
    ],
    ['an empty preamble', { type: multipart, body: form([asked, file], { before: crlf }) }],
    [
      'a preamble',
      { type: multipart, body: form([asked, file], { before: `This is a message in parts.${crlf}--XBOUND${crlf}` }) },
    ],
    ['an epilogue', { type: multipart, body: form([asked, file], { after: `${crlf}The end.${crlf}` }) }],
    ['nothing after the last boundary', { type: multipart, body: form([asked, file], { after: '' }) }],
    ['a space after each boundary', { type: multipart, body: form([asked, file], { padding: ' ' }) }],
    ['white space after each boundary', { type: multipart, body: form([asked, file], { padding: ' \t ' }) }],
    ['a boundary in quotes', { ...asForm(), type: `multipart/form-data; charset=utf-8; Boundary="${boundary}"` }],
    [
      'an address-encoded form',
      asUrlencoded(new URLSearchParams({ image, question, priority: '', page: '' }).toString()),
    ],
    [
      'base64 that nobody encoded for its form',
      asUrlencoded(`question=${encodeURIComponent(question)}&image=${image}`),
    ],
    [
      'a data: URI that nobody encoded',
      asUrlencoded(`question=${question.replaceAll(' ', '+')}&image=data:image/png;base64,${image}`),
    ],
    ['an image body', asRaw('image/png')],
    [
      'an image body beside a tracker and a cache buster',
      asRaw(
        'image/png',
        `?question=${encodeURIComponent(question)}&utm_source=mail&_=17&nocache=1&foo=bar&priority=&page=`,
      ),
    ],
    ...[
      'image/jpg',
      'image/pjpeg',
      'image/x-png',
      'IMAGE/PNG; name=a.png',
      'image/gif',
      'image/*',
      'application/octet-stream',
      'binary/octet-stream',
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/json',
      null,
    ].map((type): [string, Sent] => [`an image body announced as ${type ?? 'nothing'}`, asRaw(type)]),
  ])('%s', async (_, sent) => {
    const cached = await jobOf(sent)
    // The model of these tests keeps no answers.
    expect(cached).toEqual(plain)
  })
})
