import { remoteKeyPrefix } from '@vision-queue/models'
import { z } from 'zod'

/** `host`, `host:port`, `[::1]:port`. */
const hostForm = /^(\[[0-9a-f:]+\]|[a-z0-9.-]+)(:\d{1,5})?$/i

/** What models may name as their engines. */
export const remoteSettings = {
  REMOTE_ENGINE_HOSTS: z
    .string()
    .refine(
      (list) => list.split(',').every((host) => hostForm.test(host.trim())),
      'expected host or host:port, separated by commas',
    )
    .optional()
    .describe(
      'Servers that model folders may name as their engine (docs/remote-engines.md), as `host:port` or `host`, separated by commas; those of this machine (localhost, 127.x, [::1]) always. A folder that names another is refused: whoever may write into the repository does not choose where images go. Keys for them are in variables of their own, REMOTE_ENGINE_KEY_NAME, which model.json names.',
    ),
}

/** The servers that models may name as their engines, beside those of this machine. */
export function toRemoteHosts({ REMOTE_ENGINE_HOSTS: list }: { REMOTE_ENGINE_HOSTS?: string | undefined }): string[] {
  return list === undefined ? [] : list.split(',').map((host) => host.trim())
}

/** The keys for such servers, by the names of their variables. They are in no setting: what is parsed may be shown. */
export function readRemoteKeys(env: Record<string, string | undefined>): Record<string, string> {
  const named = Object.entries(env).filter(([name]) => name.startsWith(remoteKeyPrefix))
  return Object.fromEntries(
    named.flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, value]])),
  )
}
