import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import type { BlobStoreTarget } from '@vision-queue/process'

import { markObject, type ObjectStore, ObjectStoreError } from './object-store.ts'
import { createS3Addresses } from './s3-addresses.ts'
import { openS3Calls, patienceMs } from './s3-calls.ts'
import { isTakenObject } from './s3-error.ts'

/** The most that one request removes, as the protocol has it. */
const mostRemoved = 1000

/** A bucket by the SDK of AWS, which takes a while to load: see open-objects.ts. */
export function openS3Objects(target: Extract<BlobStoreTarget, { kind: 's3' }>): ObjectStore {
  const { bucket: Bucket, prefix } = target
  const calls = openS3Calls(target)
  const { client, of, bounded, unlessMissing } = calls
  const get = async (name: string, Range?: string): Promise<Uint8Array | null> =>
    unlessMissing(
      bounded(async (options) => {
        const { Body } = await client.send(new GetObjectCommand({ ...of(name), Range }), options)
        return Body === undefined ? new Uint8Array() : await Body.transformToByteArray()
      }),
    )

  return {
    place: `s3://${Bucket}/${prefix}`,
    patienceMs,
    async check() {
      await bounded(async (options) => client.send(new HeadBucketCommand({ Bucket }), options))
    },
    async put(name, bytes, hash) {
      const ChecksumSHA256 = Buffer.from(hash, 'hex').toString('base64')
      const command = new PutObjectCommand({ ...of(name), Body: bytes, ContentLength: bytes.length, ChecksumSHA256 })
      await bounded(async (options) => client.send(command, options))
    },
    async mark(text) {
      const command = new PutObjectCommand({ ...of(markObject), Body: text, IfNoneMatch: '*' })
      try {
        await bounded(async (options) => client.send(command, options))
      } catch (error) {
        if (!(error instanceof Error && isTakenObject(error.cause))) throw error
      }
    },
    read: async (name) => get(name),
    readStart: async (name, bytes) => get(name, `bytes=0-${bytes - 1}`),
    describe: async (name) =>
      unlessMissing(
        bounded(async (options) => {
          const command = new HeadObjectCommand({ ...of(name), ChecksumMode: 'ENABLED' })
          const { ContentLength = 0, ChecksumSHA256: sum } = await client.send(command, options)
          return { bytes: ContentLength, hash: sum === undefined ? null : Buffer.from(sum, 'base64').toString('hex') }
        }),
      ),
    async remove(names) {
      for (let from = 0; from < names.length; from += mostRemoved) {
        const Objects = names.slice(from, from + mostRemoved).map((name) => ({ Key: of(name).Key }))
        const command = new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } })
        const { Errors: [error] = [] } = await bounded(async (options) => client.send(command, options))
        if (error !== undefined)
          throw new ObjectStoreError(`An object could not be removed: ${error.Code ?? 'no code'}`)
      }
    },
    async *list() {
      let ContinuationToken: string | undefined
      do {
        const command = new ListObjectsV2Command({ Bucket, Prefix: prefix, ContinuationToken })
        const page = await bounded(async (options) => client.send(command, options))
        yield (page.Contents ?? []).map(({ Key = '', Size = 0, LastModified }) => ({
          name: Key.slice(prefix.length),
          bytes: Size,
          // One without a time counts as new.
          storedAt: LastModified?.getTime() ?? Infinity,
        }))
        ContinuationToken = page.NextContinuationToken
      } while (ContinuationToken !== undefined)
    },
    ...createS3Addresses(calls),
    close: () => client.destroy(),
  }
}
