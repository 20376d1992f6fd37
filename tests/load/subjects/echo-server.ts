import { createServer } from 'node:http'

/**
 * The echo that everything is measured in: plain node:http reads the whole body and answers as many bytes as a job's
 * answer has. Prints its port.
 */
const answer = JSON.stringify({ status: 'succeeded', filling: 'x'.repeat(400) })
const headers = { 'content-type': 'application/json', 'content-length': answer.length }
const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => response.writeHead(Buffer.concat(chunks).byteLength > 0 ? 200 : 400, headers).end(answer))
})
// With its parent it ends.
process.once('disconnect', () => process.exit(0))
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify(server.address())))
