import type { Figures, Scaler } from './fleet.ts'

/** As many as ever are needed, all day. */
export function fixed(consumers: number): Scaler {
  return { name: `always ${consumers}`, wanted: () => consumers }
}

/** How an autoscaler of Kubernetes moves from what it has to what its metric asks for. */
interface Behaviour {
  /** It goes down to the most that was asked for in so many seconds. */
  downWindowSeconds: number
  /** And at most by this share of what there was, in each of its periods. */
  down: { share: number; periodSeconds: number }
}

/** Kubernetes' own. */
const defaults: Behaviour = { downWindowSeconds: 300, down: { share: 1, periodSeconds: 15 } }
/** infra/kubernetes has the same. */
const careful: Behaviour = { downWindowSeconds: 300, down: { share: 0.5, periodSeconds: 60 } }
/** A metric this near its target changes nothing. */
const tolerance = 0.1

/**
 * The controller of HorizontalPodAutoscaler, which KEDA uses as well: up at once, by twice as many or four more in 15
 * seconds, whichever is more; down as `behaviour` says. `ask` is what the metric asks for, before all that.
 */
export function autoscaler(
  name: string,
  ask: (figures: Figures, current: number) => number,
  { downWindowSeconds, down }: Behaviour,
): Scaler {
  let asked: { second: number; wanted: number }[] = []
  let counts: { second: number; current: number }[] = []
  return {
    name,
    wanted(figures, current, second) {
      const wanted = ask(figures, current)
      asked = [...asked.filter((one) => one.second > second - downWindowSeconds), { second, wanted }]
      counts = [...counts.filter((one) => one.second > second - down.periodSeconds), { second, current }]
      if (wanted > current) return Math.min(wanted, Math.max(2 * current, current + 4))
      const calm = Math.max(...asked.map((one) => one.wanted))
      const before = Math.max(...counts.map((one) => one.current))
      return Math.min(current, Math.max(calm, Math.floor(before * (1 - down.share))))
    },
  }
}

/** By the CPU that consumers use: `target` is the share of their request that is aimed at. */
export function byCpu(target: number): Scaler {
  const name = `HPA, CPU at ${Math.round(100 * target)} %`
  return autoscaler(name, (figures, current) => byRatio(figures.busy / target, figures.ready, current), defaults)
}

/**
 * By the seconds that the queue takes those which there are (KEDA, `metricType: Value`). What infra/kubernetes had first. Nothing waits while they keep
 * up, and then it asks for none of them.
 */
export function byDrainTime(seconds: number): Scaler {
  const ask = ({ queued, capacity, ready }: Figures): number => {
    const ratio = queued / Math.max(capacity, 1e-9) / seconds
    return Math.abs(ratio - 1) <= tolerance ? ready : Math.ceil(Math.min(ratio, 1e6) * ready)
  }
  return autoscaler(`KEDA, drain time ${seconds} s`, ask, careful)
}

/**
 * By the work there is (KEDA, `metricType: AverageValue`): what is submitted in a second, and what waits over the seconds
 * in which it is to be done, over what one consumer does at `target` of its time. infra/kubernetes has it with 30 s and
 * 80 %.
 */
export function byWork(seconds: number, target: number): Scaler {
  const ask = ({ queued, submitted, capacity, ready }: Figures, current: number): number => {
    const wanted = (submitted + queued / seconds) / (target * (capacity / Math.max(1, ready)))
    return Math.abs(wanted / current - 1) <= tolerance ? current : Math.ceil(wanted)
  }
  return autoscaler(`KEDA, arrivals and drain time ${seconds} s, at ${Math.round(100 * target)} %`, ask, careful)
}

/** As Kubernetes counts for CPU: those that are not ready yet count as idle, and only against more of them. */
function byRatio(ratio: number, ready: number, current: number): number {
  if (Math.abs(ratio - 1) <= tolerance) return current
  if (ratio < 1) return Math.ceil(ratio * ready)
  const withStarting = (ratio * ready) / current
  return withStarting <= 1 + tolerance ? current : Math.ceil(withStarting * current)
}
