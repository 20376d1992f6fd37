import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { startSystem, type SystemOptions } from '@vision-queue/test-support/system'

import { childrenOf, type ProcessTable } from './processes.ts'
import type { Service } from './service.ts'
import type { Part } from './windows/window.ts'

const ownTree = fileURLToPath(new URL('../../', import.meta.url))

/** How the service's processes are laid out. */
export type Composition = 'apart' | 'one process'

/** A composition of this tree, or of another revision's. */
export interface Variant {
  composition: Composition
  /** The tree's folder, with a slash at its end. */
  tree: string
  /** As given to `--against`; null: this tree. */
  revision: string | null
}

/** What a service's engines do. */
export type EngineKind = 'real' | 'no-op'

/** The entry of a process that is an API and a consumer; a tree of before has none. */
const serverEntry = 'apps/server/src/main.ts'

/** Compositions that a tree has. */
export function variantsOf(tree: string = ownTree, revision: string | null = null): Variant[] {
  const compositions: Composition[] = existsSync(`${tree}${serverEntry}`) ? ['apart', 'one process'] : ['apart']
  return compositions.map((composition) => ({ composition, tree, revision }))
}

/** Such as `apart`, or `apart at 3734fe2`. */
export function nameOf({ composition, revision }: Variant): string {
  return revision === null ? composition : `${composition} at ${revision}`
}

/** Starts a service as it is shipped, with every setting at its default but those in `env`. Not warm yet. */
export async function startVariant(
  variant: Variant,
  engine: EngineKind,
  env: Record<string, string> = {},
): Promise<Service> {
  const { composition, tree } = variant
  // Empty is as not set: what the tests have otherwise, a quick heartbeat and no answers kept, is as shipped here.
  const settings = { HEARTBEAT_MS: '', ANSWER_TTL_MS: '', MODELS: 'shapes-vqa', ...env }
  const noop = `${tree}tests/load/rivals/`
  switch (composition) {
    case 'apart':
      return startService(nameOf(variant), {
        root: tree,
        apiEnv: settings,
        consumerEnv: settings,
        ...(engine === 'real' ? {} : { consumerEntry: `${noop}noop-consumer.ts` }),
      })
    case 'one process':
      return startService(nameOf(variant), {
        root: tree,
        apiEnv: settings,
        apiEntry: engine === 'real' ? `${tree}${serverEntry}` : `${noop}noop-server.ts`,
        consumers: 0,
      })
    default:
      return composition satisfies never
  }
}

/** Starts processes and tells what part each has. Without consumers, its API is a server that has the engines. */
export async function startService(name: string, options: SystemOptions): Promise<Service> {
  const system = await startSystem(options)
  const engines = (table: ProcessTable, pid: number): Part[] =>
    childrenOf(pid, table).map((child) => ({ part: 'engines', pid: child }))
  const isServer = options.consumers === 0 && options.apiEntry !== undefined
  try {
    if (isServer) await system.waitForConsumers(1)
  } catch (error) {
    await system.stop()
    throw error
  }
  return {
    name,
    system,
    url: system.url,
    parts: (table) => [
      ...system.apis.flatMap(({ pid }) => [
        { part: isServer ? 'server' : 'API', pid },
        ...(isServer ? engines(table, pid) : []),
      ]),
      { part: 'Redis', pid: system.redis.pid },
      ...system.consumers.flatMap(({ pid }) => [{ part: 'consumer', pid }, ...engines(table, pid)]),
    ],
    stop: async () => system.stop(),
  }
}
