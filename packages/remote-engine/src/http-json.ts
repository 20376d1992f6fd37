/** The text as JSON, or null where it is none: what it has to be its schema says. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
