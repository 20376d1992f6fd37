/**
 * Whether a name is another one mistyped: written with other capitals or hyphens, or with a letter or two wrong. What
 * begins with another letter is not, as `nocache` and `_cache` are what they are.
 */
export function isMistyped(name: string, known: string): boolean {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[-_.]/g, '')
  if (name.length > 2 * known.length) return false
  if (plain(name) === plain(known)) return true
  return name[0]?.toLowerCase() === known[0] && distance(name.toLowerCase(), known) <= (known.length < 8 ? 1 : 2)
}

/** How many letters are to be put in, taken out, changed, or swapped with the next, to get from one to the other. */
function distance(from: string, to: string): number {
  let before: number[] = []
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= to.length; j += 1) {
      const same = from[i - 1] === to[j - 1]
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      next[j] = Math.min(
        (row[j] ?? 0) + 1,
        (next[j - 1] ?? 0) + 1,
        (row[j - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (before[j - 2] ?? 0) + 1 : Infinity,
      )
    }
    before = row
    row = next
  }
  return row[to.length] ?? 0
}
