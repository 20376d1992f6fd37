/** The metrics whose names fit, by their name and labels as they stand in `GET /metrics`. */
export async function readMetrics(url: string, name: RegExp): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const found = new Map<string, number>()
  for (const [, sample = '', value = ''] of text.matchAll(/^([^\s#{]+(?:\{[^\n]*\})?) (\S+)$/gm)) {
    if (name.test(sample.split('{', 1).join(''))) found.set(sample, Number(value))
  }
  return found
}
