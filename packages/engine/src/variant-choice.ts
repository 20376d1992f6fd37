import { VisionQueueError, type VariantChoice } from '@vision-queue/protocol'

import type { ExecutionOptions, Variant } from '@vision-queue/models'
import { isPassing } from './load-failure.ts'

/** A variant that could run, and why just this one. */
export interface Candidate {
  graph: Variant
  reason: string
}

/** The others, the most exact first; on a CPU int8 is last because without its instructions sums are cut off. */
const restOnCpu: readonly Variant[] = ['fp16', 'q4', 'q4f16', 'bnb4', 'uint8', 'int8']
const restElsewhere: readonly Variant[] = ['q4f16', 'q4', 'bnb4', 'int8', 'uint8']

/** What decides: nothing of it changes from one start to the next on the same machine. */
export interface Capabilities {
  /** The variants that have files. */
  there: readonly Variant[]
  onCpu: boolean
  /** See readInt8Instructions. */
  int8Instructions: string | null
  /** Whether int8 is quantised while it runs, by the range of the whole batch (see readGraphFacts). */
  int8IsDynamic: boolean
}

/**
 * The variants in the order in which they are tried. On a CPU: int8 where the CPU has instructions for it, else
 * fp32. On other providers: fp16, then fp32. Never by time: a busy machine would choose another variant, and the
 * same question would get another answer.
 */
export function candidates(machine: Capabilities): Candidate[] {
  const { there, onCpu, int8Instructions, int8IsDynamic } = machine
  const [only, ...others] = there
  if (only !== undefined && others.length === 0) return [{ graph: only, reason: 'it is the only one there is' }]
  const order: Candidate[] = []
  if (!onCpu) order.push({ graph: 'fp16', reason: 'the provider is no CPU' })
  else if (int8Instructions !== null && !int8IsDynamic) {
    order.push({ graph: 'int8', reason: `the CPU has ${int8Instructions}` })
  }
  order.push({ graph: 'fp32', reason: whyPlain(machine) })
  for (const graph of onCpu ? restOnCpu : restElsewhere) order.push({ graph, reason: 'there is no better one' })
  return order.filter(
    ({ graph }, index) => there.includes(graph) && order.findIndex((other) => other.graph === graph) === index,
  )
}

function whyPlain({ there, onCpu, int8IsDynamic }: Capabilities): string {
  if (!onCpu) return 'there is no fp16'
  if (!there.includes('int8')) return 'there is no int8'
  if (int8IsDynamic) return 'int8 is quantised by the range of a whole batch, which costs it its batches'
  return 'the CPU has no instructions for int8'
}

export interface Loaded {
  /** The execution provider that it landed on. */
  provider: string
  close: () => Promise<void>
}

/**
 * Opens the variant that VARIANT or model.json names, or else the first that loads of those the machine is made
 * for. Rejects with `model_unavailable`; at once where the failure may pass, for then another variant would be
 * chosen today than tomorrow.
 */
export async function openChosen<Model extends Loaded>(
  { there, int8Instructions, int8IsDynamic }: Omit<Capabilities, 'onCpu'>,
  { execution, ofModel }: { execution: ExecutionOptions; ofModel: Variant | undefined },
  open: (variant: Variant) => Promise<Model>,
): Promise<{ model: Model; choice: VariantChoice }> {
  const setting = execution.variant === 'auto' ? undefined : execution.variant
  const named = setting ?? ofModel
  if (named !== undefined) {
    if (!there.includes(named)) {
      throw new VisionQueueError('model_unavailable', `There is no ${named} variant; there are: ${there.join(', ')}.`)
    }
    const basis = setting === undefined ? 'model_json' : 'setting'
    const reason = setting === undefined ? 'model.json names it' : 'VARIANT is set'
    return { model: await open(named), choice: { graph: named, basis, reason, at: null } }
  }
  const order = (onCpu: boolean): Candidate[] => candidates({ there, onCpu, int8Instructions, int8IsDynamic })
  const wanted = execution.requireProvider ?? execution.providers[0]
  const first = await openFirst(order(wanted === 'cpu'), open)
  const [best] = order(true)
  if (wanted === 'cpu' || first.model.provider !== 'cpu' || best?.graph === first.candidate.graph)
    return toChoice(first)
  // The wanted provider refused: it is the CPU that has to be suited.
  await first.model.close()
  return toChoice(await openFirst(order(true), open))
}

interface Opened<Model> {
  model: Model
  candidate: Candidate
}

async function openFirst<Model>(
  order: readonly Candidate[],
  open: (variant: Variant) => Promise<Model>,
): Promise<Opened<Model>> {
  let refused: { graph: Variant; error: unknown } | null = null
  for (const candidate of order) {
    try {
      const model = await open(candidate.graph)
      const reason = refused === null ? candidate.reason : `${refused.graph} could not be loaded`
      return { model, candidate: { ...candidate, reason } }
    } catch (error) {
      if (isPassing(error)) throw error
      refused ??= { graph: candidate.graph, error }
    }
  }
  throw refused?.error ?? new VisionQueueError('model_unavailable', 'There is no graph.')
}

function toChoice<Model>({ model, candidate }: Opened<Model>): { model: Model; choice: VariantChoice } {
  return { model, choice: { ...candidate, basis: 'capability', at: null } }
}
