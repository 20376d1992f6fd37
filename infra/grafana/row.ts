/** A graph: what it shows, in which of Grafana's units, and its PromQL expressions by the legend of their series. */
export interface Graph {
  title: string
  description: string
  unit: 's' | 'short' | 'bytes' | 'percentunit' | 'reqps' | 'celsius' | 'watt'
  expressions: Readonly<Record<string, string>>
}

export interface Row {
  title: string
  graphs: readonly Graph[]
}
