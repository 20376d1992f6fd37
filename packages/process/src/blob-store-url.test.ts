import { expect, test } from 'vitest'

import { parseBlobStore } from './blob-store-url.ts'

const defaults = {
  kind: 's3',
  bucket: 'images',
  prefix: '',
  region: 'us-east-1',
  endpoint: null,
  pathStyle: false,
  fromBytes: 16_384,
}

test.each([
  ['redis', { kind: 'redis' }],
  ['s3://images', defaults],
  ['s3://images/', defaults],
  ['s3://images/a/b', { ...defaults, prefix: 'a/b/' }],
  [
    's3://images/vq/?region=eu-central-1&endpoint=http://10.0.0.1:9000&path_style=true&from_bytes=0',
    {
      ...defaults,
      prefix: 'vq/',
      region: 'eu-central-1',
      endpoint: 'http://10.0.0.1:9000',
      pathStyle: true,
      fromBytes: 0,
    },
  ],
])('%s is read', (text, target) => {
  expect(parseBlobStore(text)).toEqual(target)
})

test.each([
  ['file:///images', /expected redis or s3:/],
  ['s3://', /expected redis or s3:/],
  ['s3://KEY:SECRET@images', /expected no credentials in it/],
  ['s3://Images', /name of a bucket/],
  ['s3://images/a b', /prefix/],
  ['s3://images?acl=public', /no option but region/],
  ['s3://images?endpoint=s3.example.com', /endpoint to be/],
  ['s3://images?endpoint=https://me:secret@s3.example.com', /endpoint to be/],
  ['s3://images?path_style=1', /true or false/],
  ['s3://images?from_bytes=1k', /whole number/],
])('%s is refused by what was expected, and not repeated', (text, said) => {
  expect(() => parseBlobStore(text)).toThrow(said)
  expect(() => parseBlobStore(text)).not.toThrow(/secret/i.test(text) ? /SECRET@|me:secret/ : /^$/)
})
