import { isMistyped, PlainError } from '@vision-queue/process'

import { parseModelPolicy } from './model-policy.ts'
import { readRepository, type RepositoryView } from './repository.ts'

/**
 * Throws PlainError where this consumer could serve nothing, as far as can be seen at its start: its repository can't
 * be read, or MODELS names models and the repository has none of them. A repository that is empty, or lacks only some
 * of them, is waited for: folders may be put there later.
 */
export async function assertModelsThere(repository: string, models: string): Promise<void> {
  let view: RepositoryView
  try {
    view = await readRepository(repository)
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new PlainError(`MODEL_REPOSITORY: ${repository} can not be read (${why}).`, { cause: error })
  }
  const { named } = parseModelPolicy(models)
  if (named.length === 0 || view.size === 0 || [...view.keys()].some((name) => named.includes(name))) return
  // With `*` among them, others are served.
  if (parseModelPolicy(models).of('') !== null) return
  const there = [...view.keys()].toSorted()
  const meant = named.flatMap((name) => there.find((known) => isMistyped(name, known)) ?? [])
  const hint = meant.length === 0 ? '' : ` Is ${meant.join(', ')} meant?`
  throw new PlainError(
    `MODELS: ${named.join(', ')}: no such model in ${repository}.${hint} There are: ${there.join(', ')}.`,
  )
}
