import { type ExactTensor, joinTensors, rowsOfTensor } from '../onnx/exact-tensor.ts'
import { isOutOfMemory } from '../onnx/out-of-memory.ts'
import type { Session } from '../onnx/session.ts'

type Tensors = Record<string, ExactTensor>

/** One job's tensors, and what it wants of the run. */
export interface TensorJob {
  feeds: Tensors
  /** The names of the outputs that it gets. */
  outputs: readonly string[]
  encoding: 'numbers' | 'base64'
  /** Rows of a batch; 1 where the graph has none. */
  rows: number
}

/**
 * Runs jobs: where runs are shared those of equal shapes together, up to `mostRows`, and each by itself else. The outputs
 * or an error for each, in order. A run of several that fails is done again one by one, so that one job's numbers fail that
 * job alone; where memory ran out it rejects instead, and smaller batches come.
 */
export function openTensorRuns(
  runExact: NonNullable<Session['runExact']>,
  { isShared, mostRows }: { isShared: boolean; mostRows: number },
): (jobs: readonly TensorJob[]) => Promise<(Tensors | Error)[]> {
  async function runOne({ feeds, outputs }: TensorJob): Promise<Tensors | Error> {
    try {
      return await runExact(feeds, outputs)
    } catch (error) {
      if (isOutOfMemory(error)) throw error
      return error instanceof Error ? error : new Error('the run failed')
    }
  }

  async function runSome(jobs: readonly TensorJob[]): Promise<(Tensors | Error)[]> {
    const [first] = jobs
    if (first === undefined) return []
    if (jobs.length > 1) {
      const joined = Object.keys(first.feeds).map(
        (name) => [name, joinTensors(jobs.flatMap(({ feeds }) => feeds[name] ?? []))] as const,
      )
      try {
        const found = await runExact(Object.fromEntries(joined), [...new Set(jobs.flatMap(({ outputs }) => outputs))])
        return split(found, jobs)
      } catch (error) {
        if (isOutOfMemory(error)) throw error
      }
    }
    const answers: (Tensors | Error)[] = []
    for (const job of jobs) answers.push(await runOne(job))
    return answers
  }

  return async (jobs) => {
    const answers: (Tensors | Error)[] = []
    for (const places of groups(jobs, isShared, mostRows)) {
      const some = places.flatMap((place) => jobs[place] ?? [])
      const found = await runSome(some)
      for (const [index, place] of places.entries()) answers[place] = found[index] ?? new Error('no answer came out')
    }
    return answers
  }
}

/** The places of jobs that run together. */
function groups(jobs: readonly TensorJob[], isShared: boolean, mostRows: number): number[][] {
  const found: number[][] = []
  const open = new Map<string, { places: number[]; rows: number }>()
  for (const [place, { feeds, rows }] of jobs.entries()) {
    const key = Object.values(feeds)
      .map(({ dims }) => dims.slice(1).join('x'))
      .join(' ')
    const group = open.get(key)
    if (isShared && group !== undefined && group.rows + rows <= mostRows) {
      group.places.push(place)
      group.rows += rows
      continue
    }
    const places = [place]
    open.set(key, { places, rows })
    found.push(places)
  }
  return found
}

/** Throws where an output doesn't have a row for each of the batch. */
function split(found: Tensors, jobs: readonly TensorJob[]): Tensors[] {
  const rows = jobs.reduce((sum, job) => sum + job.rows, 0)
  for (const [name, { dims }] of Object.entries(found)) {
    if (dims[0] !== rows) throw new Error(`${name} has ${dims[0] ?? 'no'} rows for ${rows}`)
  }
  let start = 0
  return jobs.map((job) => {
    const own = job.outputs.flatMap((name) => {
      const tensor = found[name]
      return tensor === undefined ? [] : [[name, rowsOfTensor(tensor, start, job.rows)] as const]
    })
    start += job.rows
    return Object.fromEntries(own)
  })
}
