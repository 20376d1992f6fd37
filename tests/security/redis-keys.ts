import { once } from 'node:events'
import { connect } from 'node:net'

/** All keys of a Redis, asked in its own words, as nothing of ours should stand between the test and the truth. */
export async function listRedisKeys(url: string): Promise<string[]> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
  })
  socket.write('KEYS *\r\nQUIT\r\n')
  await once(socket, 'close')
  // An array of bulk strings: *count, then $length and the text of each.
  return text
    .split('\r\n')
    .filter((line) => line !== '' && !/^[*$+]/.test(line))
    .toSorted()
}
