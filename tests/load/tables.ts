import type { Cell, Table } from '@vision-queue/load/html-page'

/** A table in few words: a column is its name and how many digits its numbers have after the point (0). */
export function table(
  title: string,
  columns: readonly (string | readonly [name: string, digits: number])[],
  rows: readonly (readonly Cell[])[],
): Table {
  return {
    title,
    columns: columns.map((column) => {
      const [name, digits] = typeof column === 'string' ? [column, 0] : column
      return { name, digits }
    }),
    rows: rows.map((row) => [...row]),
  }
}
