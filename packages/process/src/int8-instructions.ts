import { readFile } from 'node:fs/promises'

/**
 * Instructions that multiply and add 8-bit integers without overflow, by their names in /proc/cpuinfo, the best
 * known first. ONNX Runtime's int8 kernels are about twice as fast as its float kernels with them, and can be
 * slower without.
 */
const known = ['amx_int8', 'avx512_vnni', 'avx_vnni', 'i8mm', 'asimddp']

/** Which of those instructions this machine's CPU has; null: none, or the system doesn't say. */
export async function readInt8Instructions(): Promise<string | null> {
  // Every Mac with an ARM processor has them, and macOS has no /proc.
  if (process.platform === 'darwin') return process.arch === 'arm64' ? 'asimddp' : null
  return findInt8Instructions(await readFile('/proc/cpuinfo', 'utf8').catch(() => ''))
}

/**
 * Whether int8 gives other answers on this CPU than on others. On x86 without those instructions ONNX Runtime adds
 * products of 8 bits in 16 bits, where large ones are cut off (its documentation: "saturation issue" of U8S8); its
 * option against it, session.x64quantprecision, can't load our graphs in 1.30.
 */
export async function int8Saturates(): Promise<boolean> {
  return process.arch === 'x64' && (await readInt8Instructions()) === null
}

/** The instructions by the text of /proc/cpuinfo: what all processors have, because a thread may run on any of them. */
export function findInt8Instructions(cpuinfo: string): string | null {
  const processors = [...cpuinfo.matchAll(/^(?:flags|Features)\s*:(?<list>.*)$/gm)].map(
    ({ groups }) => new Set(groups?.['list']?.trim().split(/\s+/)),
  )
  if (processors.length === 0) return null
  return known.find((name) => processors.every((flags) => flags.has(name))) ?? null
}
