import { z } from 'zod'

/** What a GPU's driver says of it now; null: it doesn't say it. */
export const gpuFiguresSchema = z.object({
  /** As the driver counts them; an execution provider may count otherwise. */
  index: z.int().min(0),
  /** The same whoever counts: several consumers of a machine tell of the same GPUs. */
  uuid: z.string(),
  name: z.string(),
  /** The part of the last moments in which it did something, 0 to 1. */
  utilization: z.number().nullable(),
  memoryUsedBytes: z.number().nullable(),
  memoryTotalBytes: z.number().nullable(),
  temperatureCelsius: z.number().nullable(),
  powerWatts: z.number().nullable(),
})
export type GpuFigures = z.infer<typeof gpuFiguresSchema>
