import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'

import type { ObjectStore } from './object-store.ts'
import type { S3Calls } from './s3-calls.ts'

/** Addresses that are signed here, without a word to the store. */
export function createS3Addresses({
  client,
  of,
  bounded,
}: S3Calls): Pick<ObjectStore, 'addressToPut' | 'addressToGet'> {
  return {
    async addressToPut(name, { hash, bytes }, forMs) {
      const headers = {
        'content-length': String(bytes),
        'if-none-match': '*',
        'x-amz-checksum-sha256': Buffer.from(hash, 'hex').toString('base64'),
      }
      const command = new PutObjectCommand({
        ...of(name),
        ContentLength: bytes,
        IfNoneMatch: '*',
        ChecksumSHA256: headers['x-amz-checksum-sha256'],
      })
      const unhoistableHeaders = new Set(Object.keys(headers))
      const expiresIn = Math.ceil(forMs / 1000)
      const url = await bounded(async () => getSignedUrl(client, command, { expiresIn, unhoistableHeaders }))
      return { url, headers }
    },
    addressToGet: async (name, forMs) =>
      bounded(async () => getSignedUrl(client, new GetObjectCommand(of(name)), { expiresIn: Math.ceil(forMs / 1000) })),
  }
}
