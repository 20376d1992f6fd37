import type { GpuFigures } from '@vision-queue/protocol'
import type { ServingConsumer } from '@vision-queue/queue/producer'
import { Gauge, type Registry } from 'prom-client'

const figures: readonly { name: string; help: string; of: (gpu: GpuFigures) => number | null }[] = [
  { name: 'utilization_ratio', help: 'Part of the last moments in which it was busy', of: (gpu) => gpu.utilization },
  { name: 'memory_used_bytes', help: 'Memory in use, by whomever', of: (gpu) => gpu.memoryUsedBytes },
  { name: 'memory_total_bytes', help: 'Memory', of: (gpu) => gpu.memoryTotalBytes },
  { name: 'temperature_celsius', help: 'Temperature', of: (gpu) => gpu.temperatureCelsius },
  { name: 'power_watts', help: 'Power drawn', of: (gpu) => gpu.powerWatts },
]

/**
 * Gauges of what consumers announce of the GPUs of their machines; those that a GPU doesn't tell are left out. Consumers
 * of one machine tell of the same GPUs, which `uuid` shows.
 */
export function createGpuMetrics(registry: Registry): (consumers: readonly ServingConsumer[]) => void {
  const labelNames = ['consumer', 'gpu', 'uuid'] as const
  const gauges = figures.map(({ name, help, of }) => ({
    gauge: new Gauge({ name: `vision_queue_gpu_${name}`, help: `${help}, by GPU`, labelNames, registers: [registry] }),
    of,
  }))
  return (consumers) => {
    for (const { gauge, of } of gauges) {
      gauge.reset()
      for (const { id: consumer, gpus = [] } of consumers) {
        for (const gpu of gpus) {
          const figure = of(gpu)
          if (figure !== null) gauge.set({ consumer, gpu: String(gpu.index), uuid: gpu.uuid }, figure)
        }
      }
    }
  }
}
