import type { Actual } from './actual.ts'
import type { Desired, DesiredModel } from './desired.ts'

/** Whether one more version may begin to load now; if so, its turn is taken. */
export type TakeTurn = () => boolean

/**
 * So many versions load at a time, the others wait for their turn: engines that load share the cores, and all would be
 * ready only when the last is. A version whose engines die again and again holds nobody up.
 */
export function createLoadingTurns({ loads }: Desired, actual: Actual): TakeTurn {
  const pools = [...actual.models.values()].flatMap(({ versions }) =>
    [...versions.values()].flatMap((one) => one.pools),
  )
  let free = loads.atOnce - pools.filter(({ state, trouble }) => state.phase === 'loading' && trouble === null).length
  return () => {
    if (free <= 0) return false
    free -= 1
    return true
  }
}

/** Models whose jobs wait first, those with the most before others; then those of `first`; then as they are listed. */
export function inLoadingOrder({ models, loads }: Desired): [string, DesiredModel][] {
  const rank = (name: string): number => {
    const place = loads.first.indexOf(name)
    return place === -1 ? loads.first.length : place
  }
  return [...models].toSorted(
    ([name, one], [other, another]) => another.waiting - one.waiting || rank(name) - rank(other),
  )
}
