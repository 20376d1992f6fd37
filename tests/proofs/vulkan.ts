import { probeProvider } from '@vision-queue/engine-pool'

import { findSoftwareVulkan } from './software-vulkan.ts'

/** A Vulkan for a consumer: its environment variables, and in words what it is. */
export interface Vulkan {
  env: Record<string, string>
  /** Whether it is the machine's own, which is a GPU unless someone installed a driver that computes on the CPU. */
  isOwn: boolean
  description: string
}

/** What the loader of Vulkan and the consumers of this machine are told by. */
const variables = ['LD_LIBRARY_PATH', 'VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'CUDA_VISIBLE_DEVICES']

/**
 * The machine's own Vulkan where a graph runs on it, as its environment and its loader have it. Else SwiftShader, which
 * is unpacked into `folder` where the machine doesn't have it. Rejects where there is none of both.
 */
export async function findVulkan(folder: string): Promise<Vulkan> {
  const own = Object.fromEntries(
    variables.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
  const refusal = await probeProvider('webgpu', own)
  if (refusal === null) return { env: own, isOwn: true, description: "the machine's own Vulkan" }
  console.log(`The machine has no Vulkan of its own that can be used: ${refusal}`)
  return { env: await findSoftwareVulkan(folder), isOwn: false, description: 'SwiftShader: Vulkan on the CPU' }
}
