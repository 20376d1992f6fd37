/** What keeps a text from being JSON, in words for its writer, with the place where V8's error tells it. */
export function jsonFault(text: string, error: unknown): string {
  if (text.trim() === '') return 'it is empty'
  const message = error instanceof Error ? error.message : ''
  if (/Unexpected end|Unterminated/.test(message)) return 'it ends too early'
  const place = /at position (\d+)/.exec(message)?.[1]
  const at = place === undefined ? placeOfToken(text, message) : Number(place)
  if (at !== null && at >= text.length) return 'it ends too early'
  const token = at === null ? /^Unexpected token '(.+?)', /.exec(message)?.[1] : text[at]
  const where = at === null ? 'somewhere in it' : `at character ${at + 1}`
  return token === undefined
    ? 'it can not be read'
    : `${where} is ${JSON.stringify(token)}, which JSON does not have there`
}

/** How much of the text V8 quotes before an unexpected token, and after it. */
const quoted = 10

/** V8 gives no position for an unexpected token, but quotes what is around it, which tells where that stands once. */
function placeOfToken(text: string, message: string): number | null {
  const match = /^Unexpected token '.+?', (\.\.\.)?"([^]*)"(\.\.\. | )is not valid JSON$/.exec(message)
  const [, before, around = '', after] = match ?? []
  if (match === null || around === '') return null
  if (before !== undefined) {
    const at = text.indexOf(around)
    return at === -1 || text.includes(around, at + 1) ? null : at + quoted
  }
  // Quoted from the text's beginning on.
  return after === ' ' ? null : around.length - quoted
}
