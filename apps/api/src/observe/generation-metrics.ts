import type { GenerationFigures } from '@vision-queue/protocol'
import type { ServedModel } from '@vision-queue/queue/producer'
import { Counter, Gauge, type Registry } from 'prom-client'

const perConsumer = ['model', 'version', 'consumer'] as const
type Labels = Readonly<Record<(typeof perConsumer)[number], string>>

/** Metrics of what engines announce that generate text. Models that don't have no series. */
export function createGenerationMetrics(registry: Registry): (models: readonly ServedModel[]) => void {
  const registers = [registry]
  const seconds = new Counter({
    name: 'vision_queue_generation_seconds_total',
    help: 'Time of steps by phase: encode (images), prefill (prompts), decode (the next token of all running answers)',
    labelNames: [...perConsumer, 'phase'],
    registers,
  })
  const sequences = new Gauge({
    name: 'vision_queue_sequences',
    help: 'Answers that are being generated (running), and jobs in engines that wait for their place (waiting)',
    labelNames: [...perConsumer, 'state'],
    registers,
  })
  const cache = new Gauge({
    name: 'vision_queue_kv_cache_bytes',
    help: 'Keys and values of running answers: what they may come to, by which others are let in (reserved), and what they have (held)',
    labelNames: [...perConsumer, 'state'],
    registers,
  })
  const limit = new Gauge({
    name: 'vision_queue_kv_cache_limit_bytes',
    help: 'The most bytes of keys and values that may be reserved, of all engines of a consumer together',
    labelNames: [...perConsumer],
    registers,
  })
  const images = new Counter({
    name: 'vision_queue_feature_cache_images_total',
    help: 'Images of conversations by outcome: hit, where their features were known, or miss',
    labelNames: [...perConsumer, 'outcome'],
    registers,
  })
  const tell = (labels: Labels, figures: GenerationFigures): void => {
    seconds.inc({ ...labels, phase: 'encode' }, figures.encodeMs / 1000)
    seconds.inc({ ...labels, phase: 'prefill' }, figures.prefillMs / 1000)
    seconds.inc({ ...labels, phase: 'decode' }, figures.decodeMs / 1000)
    sequences.set({ ...labels, state: 'running' }, figures.running)
    sequences.set({ ...labels, state: 'waiting' }, figures.waiting)
    // Models that describe images count no keys and values, and keep no features.
    if (figures.limitBytes === 0) return
    cache.set({ ...labels, state: 'reserved' }, figures.reservedBytes)
    cache.set({ ...labels, state: 'held' }, figures.heldBytes)
    limit.set(labels, figures.limitBytes)
    images.inc({ ...labels, outcome: 'hit' }, figures.imagesKnown)
    images.inc({ ...labels, outcome: 'miss' }, figures.imagesNew)
  }
  return (models) => {
    for (const metric of [seconds, sequences, cache, limit, images]) metric.reset()
    for (const { name: model, version, consumers } of models) {
      for (const { id: consumer, stats } of consumers) {
        if (stats.generation !== undefined) tell({ model, version, consumer }, stats.generation)
      }
    }
  }
}
