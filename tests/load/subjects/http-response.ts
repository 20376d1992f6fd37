/** An HTTP/1.1 answer that is read from a socket as it comes. */
export interface ResponseReader {
  /** Takes what came; returns the answer once it is whole. */
  take(chunk: Buffer): { status: number; body: string } | null
}

/** Reads one answer after the other, by Content-Length or in chunks, as Latin-1: only sizes and ASCII matter here. */
export function createResponseReader(): ResponseReader {
  let text = ''
  /** Where the body begins and the answer ends, once known. */
  let body = -1
  let end = -1
  return {
    take(chunk) {
      text += chunk.toString('latin1')
      if (body < 0) {
        const headEnd = text.indexOf('\r\n\r\n')
        if (headEnd < 0) return null
        body = headEnd + 4
        const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, headEnd))?.[1]
        end = length === undefined ? -1 : body + Number(length)
      }
      // Nothing is sent before the answer is whole, so the last chunk ends what has come.
      if (end < 0 ? !text.endsWith('0\r\n\r\n') : text.length < end) return null
      const answer = { status: Number(text.slice(9, 12)), body: text.slice(body) }
      text = ''
      body = -1
      end = -1
      return answer
    },
  }
}
