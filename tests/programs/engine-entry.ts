/** The program of the engines, which ENGINE_ENTRY names. */
export const engineEntry = read()

function read(): string {
  const named = process.env['ENGINE_ENTRY']
  if (named === undefined) throw new Error('ENGINE_ENTRY is missing')
  return named
}
