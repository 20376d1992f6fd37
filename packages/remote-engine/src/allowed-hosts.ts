/** Names of this machine. */
const ownHosts = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/
const ports: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

/**
 * Whether a folder may name this address: whoever may write into the repository does not choose where images and keys
 * are sent, nor what of the network behind the consumer is asked. `hosts`: `host:port`, or `host` for any port of it.
 */
export function isAllowedHost(address: string, hosts: readonly string[]): boolean {
  const { hostname, port, protocol } = new URL(address)
  if (ownHosts.test(hostname)) return true
  const allowed = new Set(hosts.map((host) => host.toLowerCase()))
  return allowed.has(hostname) || allowed.has(`${hostname}:${port === '' ? ports[protocol] : port}`)
}
