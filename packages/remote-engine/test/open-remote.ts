import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { EnginePool, InferenceRequest } from '@vision-queue/engine-pool'
import { readRemoteModel } from '@vision-queue/models'

import { createRemoteEnginePool, type RemoteEngineOptions } from '../src/remote-engine.ts'

const opened: { pool: EnginePool; folder: string }[] = []

/** A pool for a server of chat completions at this address. `engine`: more of what model.json says of it. */
export function openRemote(
  url: string,
  engine: object = {},
  options: Partial<Omit<RemoteEngineOptions, 'model'>> = {},
): EnginePool {
  const folder = mkdtempSync(join(tmpdir(), 'remote-'))
  const json = { engine: { kind: 'openai', url, model: 'a-model', ...engine } }
  writeFileSync(join(folder, 'model.json'), JSON.stringify(json))
  const model = readRemoteModel({ name: 'far', version: '1', folder })
  if (model === null) throw new Error('the folder names no engine')
  const log = { info() {}, warn() {}, error() {} }
  const pool = createRemoteEnginePool({ model, hosts: [], keys: {}, runTimeoutMs: 60_000, log, ...options })
  opened.push({ pool, folder })
  return pool
}

/** To be called after each test. */
export async function closeRemotes(): Promise<void> {
  for (const { pool, folder } of opened.splice(0)) {
    await pool.close({ deadlineMs: 0 })
    rmSync(folder, { recursive: true })
  }
}

/** A job that asks this. */
export function jobOf(prompt: string, more: Partial<InferenceRequest> = {}): InferenceRequest {
  return { id: prompt, images: [], input: { prompt }, parameters: {}, deadlineAt: null, ...more }
}
