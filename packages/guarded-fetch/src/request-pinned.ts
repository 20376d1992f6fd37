import { type IncomingMessage, request as requestHttp, type RequestOptions } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP, type LookupFunction, type TcpSocketConnectOpts } from 'node:net'

import type { Target } from './url-rules.ts'

export interface PinnedRequest {
  target: Target
  /** Checked addresses of the host, at least one: the connection goes to one of them and nowhere else. */
  addresses: readonly [string, ...string[]]
  /** Asked again of the address that the socket is connected to. */
  isAllowed: (address: string) => boolean
  headers: Readonly<Record<string, string>>
  /** The most that may come over the connection, whatever of it is headers, framing or body, in bytes. */
  maxWireBytes: number
  /** Certificates of authorities to trust in place of Node's. */
  ca: string | undefined
  /**
   * Ends the request and its answer, and is fired from here where more comes than may. A body without Content-Length
   * then ends as if it were whole, so who reads it asks the signal afterwards.
   */
  ended: AbortController
}

/** How many addresses of a host are tried. */
const maxTried = 4

/**
 * One GET over a connection of its own, which nobody's request used before or uses after. Resolves with the head of
 * the answer; rejects where there is none. Not `fetch`: it may follow a proxy from the environment, and decompresses.
 */
export async function requestPinned(pinned: PinnedRequest): Promise<IncomingMessage> {
  const { target, isAllowed, headers, maxWireBytes, ca, ended } = pinned
  const { url, hostname, port } = target
  // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
  const tls = { rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) }
  return new Promise((resolve, reject) => {
    const options: RequestOptions & Pick<TcpSocketConnectOpts, 'autoSelectFamily'> = {
      hostname,
      port,
      path: `${url.pathname}${url.search}`,
      headers,
      signal: ended.signal,
      // A new connection, and no agent that the process or NODE_USE_ENV_PROXY has set up.
      agent: false,
      lookup: answerWith(pinned.addresses),
      // Further addresses where one doesn't answer, RFC 8305; whatever Node was started with.
      autoSelectFamily: true,
    }
    const sent = url.protocol === 'https:' ? requestHttps({ ...options, ...tls }) : requestHttp(options)
    sent.on('socket', (socket) => {
      let wireBytes = 0
      // Here, where all of it passes: a server may send as many interim answers as it likes, or a chunk for each byte.
      socket.on('data', (bytes) => {
        wireBytes += bytes.length
        if (wireBytes > maxWireBytes) ended.abort(new Error('more came than may come'))
      })
      socket.once('connect', () => {
        if (!isAllowed(socket.remoteAddress ?? '')) ended.abort(new Error('connected to an address that is refused'))
      })
    })
    sent.on('response', resolve)
    // Stays for later errors, too: those reject a settled promise, which is nothing.
    sent.on('error', (error) => reject(ended.signal.aborted ? ended.signal.reason : error))
    // Another protocol was offered (101): no answer and no error.
    sent.on('close', () => reject(new Error('the connection closed without an answer')))
    sent.end()
  })
}

/** In the place of a second look at the DNS, which could answer differently than the one that was checked. */
function answerWith(addresses: readonly [string, ...string[]]): LookupFunction {
  const [first] = addresses
  const all = addresses.slice(0, maxTried).map((address) => ({ address, family: isIP(address) }))
  return (_hostname, options, callback) => {
    if (options.all === true) callback(null, all)
    else callback(null, first, isIP(first))
  }
}
