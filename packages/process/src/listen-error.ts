import { PlainError } from './plain-error.ts'

/**
 * Why nothing can listen there, in a sentence that names the setting to change; an error that isn't about the address
 * is returned as it is.
 * @param names Of the settings that hold the address.
 */
export function listenError(
  error: Error,
  { host, port, names }: { host: string; port: number; names: { host: string; port: string } },
): Error {
  const code = 'code' in error ? String(error.code) : ''
  const another = port === 65_535 ? 3000 : port + 1
  const words: Record<string, string> = {
    EADDRINUSE: `${names.port}: ${port} on ${host} is taken by another program. Choose another one: ${names.port}=${another}`,
    EACCES: `${names.port}: this user may not listen on ${port}. Choose one from 1024 on.`,
    EADDRNOTAVAIL: `${names.host}: ${host} is no address of this machine.`,
    ENOTFOUND: `${names.host}: ${host} is no address and no known name.`,
  }
  const sentence = words[code]
  return sentence === undefined ? error : new PlainError(`${sentence} (${code})`, { cause: error })
}
