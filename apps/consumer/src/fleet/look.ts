import type { ModelOrders } from '@vision-queue/queue/worker'
import type { Logger } from 'pino'

import type { Actual } from './actual.ts'
import { createChangeHints } from './change-hints.ts'
import type { Desired, DesiredModel, LoadingTurns } from './desired.ts'
import type { ModelPolicy } from './model-policy.ts'
import { createRepositoryWatch, type WatchedModel } from './repository-watch.ts'
import { misnamedModels, readRepository, type RepositoryView } from './repository.ts'

export interface LookOptions {
  repository: string
  policy: ModelPolicy
  readOrders: () => Promise<ModelOrders>
  /** Unfinished jobs that are pinned to the version. */
  countPinned: (name: string, version: string) => Promise<number>
  /** Unfinished jobs of the model, pinned ones among them. */
  countWaiting: (name: string) => Promise<number>
  loads: LoadingTurns
  /** How long a replaced version stays at least for jobs that are pinned to it meanwhile. */
  lingerMs: number
  log: Logger
}

export interface Look {
  look(actual: Actual): Promise<Desired>
  /** Watches the repository no longer. */
  close(): void
}

/**
 * Looks at the repository, the orders and the pinned jobs, and tells what is wanted by them. Rejects if Redis doesn't
 * say the orders. If the repository can't be read, the models are as they were at the last look: that is not an
 * empty repository.
 */
export function createLook(options: LookOptions): Look {
  const { repository, policy, lingerMs, loads, log } = options
  const watch = createRepositoryWatch()
  const hints = createChangeHints()
  let view: RepositoryView | null = null
  let seen = new Map<string, WatchedModel>()

  /** Null: it can't be said now. */
  const countPinned = async (name: string, version: string): Promise<number | null> =>
    options.countPinned(name, version).catch((error: unknown) => {
      log.warn({ model: name, version, error: String(error) }, 'Pinned jobs could not be counted')
      return null
    })

  /** Null for a model that can't be begun with now. */
  const lookAtModel = async (name: string, orders: ModelOrders, actual: Actual): Promise<DesiredModel | null> => {
    const selection = policy.of(name)
    if (selection === null) return null
    const { versions, aliases } = seen.get(name) ?? { versions: new Map<string, never>(), aliases: {} }
    const known = actual.models.get(name)
    // A consumer that selects versions one by one leaves the others to those that select them.
    const first = selection.latest ? [...versions.keys()] : []
    const kept = [...(known?.versions ?? [])].flatMap(([version, { replacedAt }]) =>
      replacedAt === null ? [] : [version],
    )
    const toCount = known === undefined ? first : kept
    const counts = await Promise.all(
      toCount.map(async (version) => [version, await countPinned(name, version)] as const),
    )
    const pinned = new Map(counts.flatMap(([version, jobs]) => (jobs === null ? [] : [[version, jobs] as const])))
    if (known === undefined && pinned.size < toCount.length) return null
    const ordered = [...versions].map(
      ([version, found]) => [version, { ...found, order: orders.of(name, version) }] as const,
    )
    // Where this consumer takes the jobs nothing is to be opened for their sake.
    const waiting = known?.taking.has(null) === true ? 0 : await options.countWaiting(name).catch(() => 0)
    return { selection, versions: new Map(ordered), aliases, pinned, waiting }
  }

  const look = async (actual: Actual): Promise<Desired> => {
    const at = performance.now()
    const orders = await options.readOrders()
    if (view === null || !hints.unchanged()) view = await readRepository(repository, hints.begin()).catch(() => null)
    if (view !== null) seen = watch(view)
    const names = new Set([...seen.keys(), ...(view === null ? [] : policy.named), ...actual.models.keys()])
    const models = await Promise.all(
      [...names].map(async (name) => [name, await lookAtModel(name, orders, actual)] as const),
    )
    return {
      at,
      lingerMs,
      loads,
      models: new Map(models.flatMap(([name, model]) => (model === null ? [] : [[name, model] as const]))),
      problems: [...problemsOf(view, policy), ...(await misnamed(repository))],
    }
  }
  return { look, close: hints.close }
}

async function misnamed(repository: string): Promise<string[]> {
  return (await misnamedModels(repository)).map(
    ({ folder, better }) =>
      `${folder} in MODEL_REPOSITORY is not served: a model's name has small letters, digits, ".", "_" and "-" only. Rename the folder, such as to ${better}.`,
  )
}

function problemsOf(view: RepositoryView | null, policy: ModelPolicy): string[] {
  if (view === null) return ['MODEL_REPOSITORY can not be read.']
  return [
    ...(view.size === 0 ? ['There are no models in MODEL_REPOSITORY.'] : []),
    ...policy.named.filter((name) => !view.has(name)).map((name) => `There is no model ${name} in MODEL_REPOSITORY.`),
    ...[...view].flatMap(([name, { aliasesProblem }]) =>
      aliasesProblem === null ? [] : [`${name}: ${aliasesProblem}`],
    ),
  ]
}
