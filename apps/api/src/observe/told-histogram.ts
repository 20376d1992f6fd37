import { Histogram, type HistogramConfiguration } from 'prom-client'

/** Observations of one set of labels: how many fell into each bucket, the last one without a bound, and their sum. */
export interface ToldSeries<T extends string> {
  labels: Record<T, string>
  counts: readonly number[]
  sum: number
}

/** A histogram whose counts were made elsewhere. */
export class ToldHistogram<T extends string> extends Histogram<T> {
  #series: readonly ToldSeries<T>[] = []
  readonly #said: { name: string; help: string; bounds: readonly number[] }

  constructor(options: HistogramConfiguration<T> & { buckets: number[] }) {
    super(options)
    this.#said = { name: options.name, help: options.help, bounds: options.buckets }
  }

  tell(series: readonly ToldSeries<T>[]): void {
    this.#series = series
  }

  /** What prom-client asks for, here and in its own `get`; its types don't name it. */
  async getForPromString(): Promise<object> {
    const { name, help, bounds } = this.#said
    const values = this.#series.flatMap(({ labels, counts, sum }) => {
      let below = 0
      const buckets = counts.map((count, index) => {
        below += count
        return { metricName: `${name}_bucket`, labels: { ...labels, le: bounds[index] ?? '+Inf' }, value: below }
      })
      return [
        ...buckets,
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: below },
      ]
    })
    return { name, help, type: 'histogram', aggregator: 'sum', values }
  }
}
