/** How far two outputs of a model are apart. */
export interface Difference {
  /** Of two numbers in the same place, in parts of the larger one where that is above 1. */
  number: number
  /** Where something else than a number differs: its place and both values. */
  else: string[]
}

/** Compares what two execution providers answered. Numbers may differ, as float32 sums are made in another order. */
export function compareOutputs(one: unknown, other: unknown, place = 'output'): Difference {
  if (typeof one === 'number' && typeof other === 'number') {
    return { number: Math.abs(one - other) / Math.max(1, Math.abs(one), Math.abs(other)), else: [] }
  }
  if (isRecord(one) && isRecord(other)) {
    const keys = [...new Set([...Object.keys(one), ...Object.keys(other)])]
    return worst(keys.map((key) => compareOutputs(one[key], other[key], `${place}.${key}`)))
  }
  const same = one === other
  return { number: 0, else: same ? [] : [`${place}: ${JSON.stringify(one)} and ${JSON.stringify(other)}`] }
}

/** The largest of several differences. */
export function worst(differences: readonly Difference[]): Difference {
  return {
    number: differences.reduce((most, { number }) => Math.max(most, number), 0),
    else: differences.flatMap((difference) => difference.else),
  }
}

/** Arrays, too: their keys are their indices. */
function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
