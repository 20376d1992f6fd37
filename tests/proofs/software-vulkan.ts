import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { unpackPackages } from '@vision-queue/local/debian-packages'

/** Vulkan on the CPU, by environment variables for a consumer. */
export type SoftwareVulkan = Record<'LD_LIBRARY_PATH' | 'VK_ICD_FILENAMES', string>

/** Where Debian's chromium-common has SwiftShader, and a loader that finds it. */
const place = 'usr/lib/chromium'

/**
 * SwiftShader, which Debian ships with Chromium: the system's own, or unpacked into `folder` without root and without
 * installing anything. Rejects with apt's words where neither can be had. Debian 12's lavapipe (mesa 22.3) is refused
 * by Dawn for want of dynamic indexing.
 */
export async function findSoftwareVulkan(folder: string): Promise<SoftwareVulkan> {
  const there = inTree('/') ?? inTree(folder)
  if (there !== null) return there
  return await unpackPackages({
    packages: ['chromium-common'],
    folder,
    open: async (tree) => inTree(tree),
    env: process.env,
    signal: AbortSignal.timeout(1_200_000),
  })
}

function inTree(tree: string): SoftwareVulkan | null {
  const libraries = join(tree, place)
  const driver = join(libraries, 'vk_swiftshader_icd.json')
  const isThere = [driver, join(libraries, 'libvk_swiftshader.so'), join(libraries, 'libvulkan.so.1')].every(existsSync)
  return isThere ? { LD_LIBRARY_PATH: libraries, VK_ICD_FILENAMES: driver } : null
}
