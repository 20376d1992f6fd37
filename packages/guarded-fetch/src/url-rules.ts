import { isIP } from 'node:net'

/** What a URL may be, before anything is looked up. */
export interface UrlRules {
  protocols: readonly ('https:' | 'http:')[]
  ports: readonly number[]
  /** As of `parseHostPatterns`. Empty: every host. */
  hosts: readonly string[]
}

/** Where a request goes. */
export interface Target {
  url: URL
  /** A name without its final dot, in ASCII, or an IP address without brackets. */
  hostname: string
  port: number
}

/** Longer than the signed addresses of object stores, which have about 2,000 characters. */
const maxUrlLength = 4096

/**
 * The target of an absolute URL, by the WHATWG rules, which write every form of an IPv4 address (octal,
 * hexadecimal, one number, full-width digits) as four decimals; else what was expected of it, to be told its author.
 */
export function parseTarget(
  address: string,
  { protocols, ports, hosts }: UrlRules,
): { kind: 'target'; target: Target } | { kind: 'refused'; expected: string } {
  const refused = (expected: string): { kind: 'refused'; expected: string } => ({ kind: 'refused', expected })
  if (address.length > maxUrlLength) return refused(`an address of at most ${maxUrlLength} characters`)
  const url = URL.canParse(address) ? new URL(address) : null
  const protocol = protocols.find((allowed) => allowed === url?.protocol)
  if (url === null || protocol === undefined) {
    return refused(`an address that begins with ${protocols.map((allowed) => `${allowed}//`).join(' or ')}`)
  }
  if (url.username !== '' || url.password !== '') return refused('an address without a user name and a password')
  const port = url.port === '' ? defaultPorts[protocol] : Number(url.port)
  if (!ports.includes(port)) return refused(`an address with one of the ports ${ports.join(', ')}`)
  const hostname = bare(url)
  if (hosts.length > 0 && !hosts.some((pattern) => fits(hostname, pattern))) {
    return refused('an address on a host that images are taken from')
  }
  return { kind: 'target', target: { url, hostname, port } }
}

/**
 * The hosts in a list separated by commas: exact names and addresses, and `*.example.com` for every name below it (not
 * itself). Brought into the form in which hosts are compared. Null where an entry is neither.
 */
export function parseHostPatterns(list: string): string[] | null {
  const patterns = list.split(',').flatMap((entry) => (entry.trim() === '' ? [] : [toPattern(entry.trim())]))
  return patterns.every((pattern) => pattern !== null) ? patterns : null
}

const defaultPorts = { 'https:': 443, 'http:': 80 }

function toPattern(entry: string): string | null {
  const below = entry.startsWith('*.')
  const name = below ? entry.slice(2) : entry
  const address = `https://${isIP(name) === 6 ? `[${name}]` : name}/`
  if (name.includes('*') || /:\d+$/.test(address.slice(0, -1)) || !URL.canParse(address)) return null
  const url = new URL(address)
  // A user name or a path would be passed over, and the entry allow more than it says.
  if (url.href !== `https://${url.host}/` || (below && isIP(bare(url)) !== 0)) return null
  return below ? `*.${bare(url)}` : bare(url)
}

/** The host as sockets and resolvers want it. */
function bare(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
}

function fits(hostname: string, pattern: string): boolean {
  if (!pattern.startsWith('*.')) return hostname === pattern
  return isIP(hostname) === 0 && hostname.endsWith(pattern.slice(1)) && hostname.length > pattern.length - 1
}
