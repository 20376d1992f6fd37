import { Resolver } from 'node:dns/promises'

/** All addresses of a host name. Rejects where there are none, and may be given up when the signal fires. */
export type ResolveName = (hostname: string, signal: AbortSignal) => Promise<string[]>

/**
 * Asks DNS servers, by default those of this machine, for A and AAAA records, IPv4 first. Not by `dns.lookup`: that would hold one of
 * the process's few threads for as long as a server that an attacker runs keeps silent, and would follow the hosts
 * file and the search domains, which know names of the inside only.
 */
export function createResolveName({ servers }: { servers?: readonly string[] } = {}): ResolveName {
  return async (hostname, signal) => {
    const resolver = new Resolver({ timeout: 2000, tries: 2 })
    if (servers !== undefined) resolver.setServers(servers)
    const cancel = (): void => resolver.cancel()
    signal.addEventListener('abort', cancel)
    try {
      const answers = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)])
      const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
      if (addresses.length === 0) throw new Error('the name has no address')
      return addresses
    } finally {
      signal.removeEventListener('abort', cancel)
    }
  }
}
