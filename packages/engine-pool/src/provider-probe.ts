import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import { bundleEnv } from '@vision-queue/bundles/bundle-file'

import { bundleRunner } from './engine-fork.ts'
import { engineProgram } from './engine-program.ts'

/**
 * Whether an execution provider can be used on this machine: null, or the reason why not. A process
 * of its own tries it on a graph of one node, so that this one never loads ONNX Runtime.
 * @param env As the engines get it: where the provider's libraries and devices are.
 */
export async function probeProvider(provider: string, env: Record<string, string> = {}): Promise<string | null> {
  const script = engineProgram('provider-probe')
  try {
    await promisify(execFile)(process.execPath, [bundleRunner(), script, provider], {
      env: { ...env, ...bundleEnv(), ORT_DISABLE_TELEMETRY: '1' },
      timeout: 120_000,
    })
    return null
  } catch (error) {
    const said = error instanceof Error && 'stdout' in error ? String(error.stdout).trim() : ''
    // Some drivers crash at the end of a process that has done its work.
    if (said === 'usable') return null
    return said === '' ? 'it could not be tried' : said
  }
}
