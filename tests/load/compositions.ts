import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { type Composition, startSystem, type SystemOptions } from '@vision-queue/test-support/system'

import { childrenOf, type ProcessTable } from './processes.ts'
import type { Service } from './service.ts'
import type { Part } from './windows/window.ts'

const ownTree = fileURLToPath(new URL('../../', import.meta.url))

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

/** Names of the compositions in figures. */
const names: Readonly<Record<Composition, string>> = { apart: 'apart', one: 'one process' }

/** The compositions that a tree has: a tree of before has one. */
export function variantsOf(tree: string = ownTree, revision: string | null = null): Variant[] {
  const compositions: Composition[] = existsSync(`${tree}apps/server/src/main.ts`) ? ['apart', 'one'] : ['apart']
  return compositions.map((composition) => ({ composition, tree, revision }))
}

/** Such as `apart`, or `apart at 3734fe2`. */
export function nameOf({ composition, revision }: Variant): string {
  return revision === null ? names[composition] : `${names[composition]} at ${revision}`
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
  return startService(nameOf(variant), {
    tree,
    composition,
    apiEnv: settings,
    consumerEnv: settings,
    ...(engine === 'real' ? {} : noopEngines(tree)),
  })
}

/** By an engine that computes nothing, or, where a tree is too old for that, by a consumer that has such engines. */
export function noopEngines(tree: string = ownTree): Pick<SystemOptions, 'engineEntry' | 'consumerEntry'> {
  const rivals = `${tree}tests/load/rivals/`
  return existsSync(`${tree}tests/programs/consumer.ts`)
    ? { engineEntry: `${rivals}noop-engine.ts` }
    : { consumerEntry: `${rivals}noop-consumer.ts` }
}

/** Starts processes and tells what part each has. An API that is a consumer, too, is the server. */
export async function startService(name: string, options: SystemOptions): Promise<Service> {
  const system = await startSystem(options)
  const engines = (table: ProcessTable, pid: number): Part[] =>
    childrenOf(pid, table).map((child) => ({ part: 'engines', pid: child }))
  const api = system.composition === 'one' ? 'server' : 'API'
  const apart = system.composition === 'one' ? [] : system.consumers
  return {
    name,
    system,
    url: system.url,
    parts: (table) => [
      ...system.apis.map(({ pid }) => ({ part: api, pid })),
      { part: 'Redis', pid: system.redis.pid },
      ...apart.map(({ pid }) => ({ part: 'consumer', pid })),
      ...system.consumers.flatMap(({ pid }) => engines(table, pid)),
    ],
    stop: async () => system.stop(),
  }
}
