/** The part of a logger (pino's, for instance) that this package uses. */
export interface RuntimeLog {
  info: (fields: object, message: string) => void
  warn: (fields: object, message: string) => void
  error: (fields: object, message: string) => void
}
