import { z } from 'zod'

/** What a key may do: hand in jobs and images, read its own jobs and the models, or run the service (models, metrics). */
export const scopes = ['submit', 'read', 'admin'] as const
export const scopeSchema = z.enum(scopes)
export type Scope = z.infer<typeof scopeSchema>

/** The public part of a key, which names its owner in jobs, logs and lists: 12 letters and digits. */
export const keyIdSchema = z.string().regex(/^[0-9A-Za-z]{12}$/, 'an id of 12 letters and digits')

/** What one key may use; null: as much as the service has. */
export const keyLimitsSchema = z.object({
  /** Requests of any kind in a minute that begins with the first of them. */
  requestsPerMinute: z.int().min(1).nullable(),
  /** Jobs of all models that are unfinished at a time. */
  maxJobs: z.int().min(1).nullable(),
  /** Bytes of the images of these jobs. */
  maxBytes: z.int().min(1).nullable(),
})
export type KeyLimits = z.infer<typeof keyLimitsSchema>

/** A key as it is stored: without the secret, of which only the SHA-256 is kept. Times are milliseconds since 1970. */
export const apiKeySchema = z.object({
  id: keyIdSchema,
  name: z.string().min(1).max(100),
  /** SHA-256 of the whole key, base64url. */
  digest: z.string(),
  scopes: z.array(scopeSchema).min(1),
  limits: keyLimitsSchema,
  createdAt: z.int(),
  /** Null: never. */
  expiresAt: z.int().nullable(),
  /** Null while it is good. */
  revokedAt: z.int().nullable(),
})
export type ApiKey = z.infer<typeof apiKeySchema>

/** Whether a key opens anything at this time. */
export function isUsable({ expiresAt, revokedAt }: Pick<ApiKey, 'expiresAt' | 'revokedAt'>, now: number): boolean {
  return revokedAt === null && (expiresAt === null || expiresAt > now)
}
