import { type MeasuredService, startService, warmUp } from './service.ts'

/** One service for many scenarios, started and warmed when the first one asks for it. */
export function createSharedService(): { open: () => Promise<MeasuredService>; close: () => Promise<void> } {
  let opening: Promise<MeasuredService> | null = null
  return {
    async open() {
      opening ??= startService().then(async (service) => {
        await warmUp(service.measure)
        return service
      })
      return opening
    },
    async close() {
      const service = await opening?.catch(() => null)
      await service?.stop()
    },
  }
}
