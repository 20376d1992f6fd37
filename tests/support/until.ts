/** Polls until `condition` holds; rejects after a minute, telling what was waited for. */
export async function until(
  condition: () => Promise<boolean> | boolean,
  what: string,
  context: () => string = () => '',
): Promise<void> {
  const end = Date.now() + 60_000
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`Waited in vain until ${what}.\n${context()}`)
    await new Promise((resolve) => {
      setTimeout(resolve, 50)
    })
  }
}
