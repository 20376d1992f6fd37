import type { GpuFigures } from '@vision-queue/protocol'
import { z } from 'zod'

/** A GPU of a consumer's machine, as `GET /models/{name}` shows it. */
export const gpuResponseSchema = z.object({
  index: z.int().describe('as the driver counts them; an execution provider may count otherwise'),
  uuid: z.string(),
  name: z.string(),
  utilization: z.number().nullable().describe('part of the last moments in which it was busy, 0 to 1; null: not told'),
  memory_used_bytes: z.number().nullable(),
  memory_total_bytes: z.number().nullable(),
  temperature_celsius: z.number().nullable(),
  power_watts: z.number().nullable(),
})

export function gpuResponse(gpu: GpuFigures): z.infer<typeof gpuResponseSchema> {
  return {
    index: gpu.index,
    uuid: gpu.uuid,
    name: gpu.name,
    utilization: gpu.utilization,
    memory_used_bytes: gpu.memoryUsedBytes,
    memory_total_bytes: gpu.memoryTotalBytes,
    temperature_celsius: gpu.temperatureCelsius,
    power_watts: gpu.powerWatts,
  }
}
