import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import type { BlobStoreTarget } from '@vision-queue/process'

import { type ObjectStore, ObjectStoreError } from './object-store.ts'
import { explainS3Error, isMissingObject } from './s3-error.ts'

/** Two tries of an image within a region take a fraction of it. Below ORPHAN_CHECK_MS, which counts submissions as broken off. */
const patienceMs = 5000
const connectMs = 1000
const maxAttempts = 2
/** As many as an API process submits and a consumer reads at a time, by default. */
const maxSockets = 128
/** The most that one request removes, as the protocol has it. */
const mostRemoved = 1000

/** A bucket by the SDK of AWS, which takes a while to load: see open-objects.ts. */
export function openS3Objects(target: Extract<BlobStoreTarget, { kind: 's3' }>): ObjectStore {
  const { bucket: Bucket, prefix, region, endpoint, pathStyle } = target
  const client = new S3Client({
    region,
    forcePathStyle: pathStyle,
    ...(endpoint === null ? {} : { endpoint }),
    maxAttempts,
    // Other services than AWS don't know the checksums that the SDK would send and look for by itself.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectMs,
      requestTimeout: patienceMs,
      throwOnRequestTimeout: true,
      httpAgent: { maxSockets },
      httpsAgent: { maxSockets },
    },
  })
  const of = (name: string) => ({ Bucket, Key: `${prefix}${name}` })
  const bounded = async <T>(work: (options: { abortSignal: AbortSignal }) => Promise<T>): Promise<T> => {
    try {
      return await work({ abortSignal: AbortSignal.timeout(patienceMs) })
    } catch (error) {
      throw error instanceof ObjectStoreError ? error : explainS3Error(error, target)
    }
  }
  const unlessMissing = async <T>(work: Promise<T>): Promise<T | null> => {
    try {
      return await work
    } catch (error) {
      if (error instanceof Error && isMissingObject(error.cause)) return null
      throw error
    }
  }
  const get = async (name: string, Range?: string): Promise<Uint8Array | null> =>
    unlessMissing(
      bounded(async (options) => {
        const { Body } = await client.send(new GetObjectCommand({ ...of(name), Range }), options)
        return Body === undefined ? new Uint8Array() : await Body.transformToByteArray()
      }),
    )

  return {
    patienceMs,
    async check() {
      await bounded(async (options) => client.send(new HeadBucketCommand({ Bucket }), options))
    },
    async put(name, bytes, hash) {
      const ChecksumSHA256 = Buffer.from(hash, 'hex').toString('base64')
      const command = new PutObjectCommand({ ...of(name), Body: bytes, ContentLength: bytes.length, ChecksumSHA256 })
      await bounded(async (options) => client.send(command, options))
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
        if (error !== undefined) throw new ObjectStoreError(`An object could not be removed: ${error.Code ?? 'no code'}`)
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
    close: () => client.destroy(),
  }
}
