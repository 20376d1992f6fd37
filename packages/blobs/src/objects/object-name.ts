import { randomBytes } from 'node:crypto'

import type { BlobAddress } from '../blobs.ts'

/**
 * Names of objects, `<space>/<hash>/<random>`: each put has a name of its own. So nothing is ever put where something is
 * being removed, and two who put the same bytes at once don't meet. Which of them is the blob stands in Redis.
 */
export function newObjectName({ space, hash }: BlobAddress): string {
  // A space is never empty, and an encoded one is no '-'.
  return `${space === null ? '-' : `s${Buffer.from(space).toString('base64url')}`}/${hash}/${randomBytes(12).toString('base64url')}`
}

/** Which blob an object was put for; null: it is none of ours. */
export function addressOfObject(name: string): BlobAddress | null {
  const [, space = '', hash = ''] = /^(-|s[\w-]+)\/([0-9a-f]{64})\/[\w-]{16}$/.exec(name) ?? []
  if (hash === '') return null
  return { space: space === '-' ? null : Buffer.from(space.slice(1), 'base64url').toString(), hash }
}

/** No file of an image begins so. */
const mark = '\0vision-queue:object:'

/** What stands in Redis in place of a blob's bytes. */
export function pointerTo(name: string): Uint8Array {
  return Buffer.from(`${mark}${name}`)
}

/** The object that a value points to; null: the value is the bytes themselves. */
export function objectOf(value: Uint8Array): string | null {
  if (value.length > longestPointer || value[0] !== 0) return null
  const text = Buffer.from(value).toString('latin1')
  return text.startsWith(mark) ? text.slice(mark.length) : null
}

/** Of a value that is longer, so much tells that it is no pointer. */
export const longestPointer = 1024
