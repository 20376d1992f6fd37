import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'

import ipaddr from 'ipaddr.js'

/** Platforms' own services at addresses that no registry calls special: Azure's, reached from inside its machines only. */
const platformAddresses: ReadonlySet<string> = new Set(['168.63.129.16'])

/**
 * Whether an IP address, as a resolver or a socket gives it, belongs to the public internet. Known good rather than
 * known bad: what isn't globally routed unicast is not (IANA's special-purpose registries, by ipaddr.js), and of IPv6
 * only what lies in 2000::/3, all that was ever given out. Forms that carry an IPv4 address inside (mapped,
 * compatible, translated, NAT64, 6to4, Teredo, ISATAP) are refused whatever they carry: a router may unwrap them.
 * Anything that is no address is not public.
 */
export function isPublicAddress(address: string): boolean {
  // Node's rule is the stricter one: sockets know no "127.1".
  if (isIP(address) === 0) return false
  const parsed = ipaddr.parse(address)
  if (parsed.range() !== 'unicast') return false
  if (parsed.kind() === 'ipv4') return !platformAddresses.has(parsed.toString())
  const bytes = parsed.toByteArray()
  return isGlobalUnicast(bytes) && !isIsatap(bytes)
}

/**
 * Whether a network interface of this machine has the address. Services of its own may be open to it alone, even
 * where the address is public.
 */
export function isOwnAddress(address: string): boolean {
  if (isIP(address) === 0) return false
  const normal = ipaddr.parse(address).toNormalizedString()
  return Object.values(networkInterfaces()).some((entries = []) =>
    entries.some((entry) => ipaddr.parse(entry.address).toNormalizedString() === normal),
  )
}

/** 2000::/3, RFC 4291. */
function isGlobalUnicast([first = 0]: readonly number[]): boolean {
  return first >> 5 === 0b001
}

/** An interface identifier of 0000:5efe or 0200:5efe and an IPv4 address, under any prefix; RFC 5214, section 6.1. */
function isIsatap(bytes: readonly number[]): boolean {
  const [a = 0, b, c, d] = bytes.slice(8)
  return (a & 0b1111_1101) === 0 && b === 0 && c === 0x5e && d === 0xfe
}
