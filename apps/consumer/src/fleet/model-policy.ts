import type { StandingOrder } from '@vision-queue/queue/worker'

/** What MODELS selects of one model. */
export interface Selection {
  latest: boolean
  all: boolean
  exact: ReadonlySet<string>
}

/** MODELS, read: which models a consumer may serve, and which of their versions unless ordered otherwise. */
export interface ModelPolicy {
  /** Null for a model that isn't this consumer's: orders don't change that. */
  of(name: string): Selection | null
  /** The models that are named. */
  named: readonly string[]
}

/** One entry of MODELS: `name`, `name@version`, `name@*`, `*` or `*@*`. */
export const modelSelectionPattern = /^(\*|[^@*]{1,64})(@(\*|[^@*]{1,32}))?$/

export function splitModels(text: string): string[] {
  return text.split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim()]))
}

export function parseModelPolicy(models: string): ModelPolicy {
  const entries = splitModels(models).map((entry) => {
    const [name = '', version = null] = entry.split('@')
    return { name, version }
  })
  if (entries.length === 0) entries.push({ name: '*', version: null })
  return {
    of(name) {
      const its = entries.filter((entry) => entry.name === name || entry.name === '*')
      if (its.length === 0) return null
      const versions = its.map(({ version }) => version)
      return {
        latest: versions.includes(null),
        all: versions.includes('*'),
        exact: new Set(versions.flatMap((version) => (version === null || version === '*' ? [] : [version]))),
      }
    },
    named: [...new Set(entries.map(({ name }) => name).filter((name) => name !== '*'))],
  }
}

/**
 * The versions to have loaded: what is selected, what an alias stands for, and what an order says.
 * `latest` is the highest that loads: below one that failed the next is tried, and below one that an
 * order took out, which makes `unload` of a bad release go back to the one before.
 */
export function wantedVersions(options: {
  selection: Selection
  /** Highest first. */
  versions: readonly string[]
  aliased: ReadonlySet<string>
  order: (version: string) => Pick<StandingOrder, 'wanted'>
  hasFailed: (version: string) => boolean
}): Set<string> {
  const { selection, versions, aliased, order, hasFailed } = options
  const wanted = new Set<string>()
  let latestFound = !selection.latest
  for (const version of versions) {
    const ordered = order(version).wanted
    if (ordered === 'unloaded') continue
    const selected = selection.all || selection.exact.has(version) || aliased.has(version)
    if (selected || ordered === 'loaded' || !latestFound) wanted.add(version)
    if (!hasFailed(version)) latestFound = true
  }
  return wanted
}

/** The version for jobs that name none: the highest ready one that is selected, else the highest ready one. */
export function servingVersion({ latest, all, exact }: Selection, ready: readonly string[]): string | null {
  const selected = latest || all ? ready : ready.filter((version) => exact.has(version))
  return selected[0] ?? ready[0] ?? null
}

const order = new Intl.Collator('en', { numeric: true })

/** Highest first, numbers compared as numbers. */
export function highestFirst(versions: Iterable<string>): string[] {
  return [...versions].toSorted((a, b) => order.compare(b, a))
}
