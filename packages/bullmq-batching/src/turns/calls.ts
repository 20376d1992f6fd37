import type { Chain } from './chain.ts'
import { hashTag } from './hash-tag.ts'
import type { Step } from './step.ts'

/** Chains that travel in one script call, and what each has in it. */
export interface Call {
  /** Whether all of its chains are let through when memory is full. If only some are, they are sent apart then. */
  readonly whenFull: boolean
  readonly chains: readonly Chain[]
  readonly steps: readonly (readonly Step[])[]
}

/**
 * Sorts chains into calls. On one Redis a chain is sent whole. On a Cluster a call has the keys of one hash tag: of
 * each chain its first steps as far as they have that tag. What stores comes first, so that what is taken in the
 * same turn can be what was stored in it.
 */
export function intoCalls(chains: readonly Chain[], cluster: boolean, mostChains: number): Call[] {
  const groups = new Map<string, { chain: Chain; steps: readonly Step[] }[]>()
  for (const chain of chains.toSorted((a, b) => rank(a) - rank(b))) {
    const tag = cluster ? tagOf(chain.steps[0]) : ''
    const steps = cluster ? leading(chain.steps, tag) : chain.steps
    const group = groups.get(tag)
    if (group === undefined) groups.set(tag, [{ chain, steps }])
    else group.push({ chain, steps })
  }
  return [...groups.values()].flatMap((group) =>
    Array.from({ length: Math.ceil(group.length / mostChains) }, (_, index) => {
      const part = group.slice(index * mostChains, (index + 1) * mostChains)
      return {
        whenFull: part.every(({ chain }) => chain.whenFull),
        chains: part.map(({ chain }) => chain),
        steps: part.map(({ steps }) => steps),
      }
    }),
  )
}

function rank({ whenFull, last }: Chain): number {
  return (whenFull ? 2 : 0) + (last ? 1 : 0)
}

function tagOf(step: Step | undefined): string {
  return hashTag(step?.keys[0] ?? '')
}

function leading(steps: readonly Step[], tag: string): readonly Step[] {
  const other = steps.findIndex((step) => tagOf(step) !== tag)
  return other === -1 ? steps : steps.slice(0, other)
}
