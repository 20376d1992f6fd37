/**
 * A place for bytes under names, such as a bucket of S3. It knows nothing of who needs them: that stands in Redis, and
 * what Redis doesn't name any more is looked for and removed (object-sweep.ts). Calls end within `patienceMs`, and
 * reject with ObjectStoreError.
 */
export interface ObjectStore {
  /** Where it is, for whoever runs it. */
  place: string
  /** The longest that a call takes, its second try included. */
  patienceMs: number
  /** Rejects, saying why, where objects can't be listed. Tells whether the bucket is there and may be used. */
  check(): Promise<void>
  /** Under a name that was never used before. `hash`: SHA-256 in hexadecimal digits, which the store compares. */
  put(name: string, bytes: Uint8Array, hash: string): Promise<void>
  /** Puts a text under `markObject`, where nothing lies there; else without effect. */
  mark(text: string): Promise<void>
  /** Null where there is no such object. The bytes are not compared with any hash. */
  read(name: string): Promise<Uint8Array | null>
  /** The first bytes of an object, so many or all there are. */
  readStart(name: string, bytes: number): Promise<Uint8Array | null>
  /** What the store says of an object; `hash` null: it doesn't know it. */
  describe(name: string): Promise<{ bytes: number; hash: string | null } | null>
  /** Without effect where there are no such objects. */
  remove(names: readonly string[]): Promise<void>
  /** All objects, some hundreds at a time. */
  list(): AsyncIterable<StoredObject[]>
  /**
   * An address by which whoever has it may put these bytes, and no other ones, under this name, once: by PUT, with
   * `headers`. What holds it to that is the store's work.
   */
  addressToPut(name: string, content: { hash: string; bytes: number }, forMs: number): Promise<SignedAddress>
  /** An address by which whoever has it may read this object, and nothing else. */
  addressToGet(name: string, forMs: number): Promise<string>
  close(): void
}

/** The name of the object that says whose the others are: no image's. */
export const markObject = 'vision-queue-service'

export interface StoredObject {
  name: string
  bytes: number
  /** By the store's clock, in milliseconds since 1970. */
  storedAt: number
}

export interface SignedAddress {
  url: string
  /** Sent with it, as they are. */
  headers: Record<string, string>
}

/** Why the store did not do it, in a sentence that may be told to whoever runs it. */
export class ObjectStoreError extends Error {
  constructor(sentence: string, options?: ErrorOptions) {
    super(sentence, options)
    this.name = 'ObjectStoreError'
  }
}
