import type { EnginePool, EnginePoolOptions } from '@vision-queue/engine-pool'
import { type RemoteModel, remoteKeyPrefix } from '@vision-queue/models'
import { VisionQueueError } from '@vision-queue/protocol'

import { isAllowedHost } from './allowed-hosts.ts'
import { openInferenceServer } from './open-inference/open-inference-server.ts'
import { openOpenAiServer } from './openai/openai-server.ts'
import { createRemotePool } from './remote-pool.ts'

export interface RemoteEngineOptions extends Pick<EnginePoolOptions, 'log' | 'onLaunch' | 'onTrouble'> {
  model: RemoteModel
  /** `host:port` of each server that models may name, beside those of this machine. */
  hosts: readonly string[]
  /** Keys by the names of their variables. */
  keys: Readonly<Record<string, string>>
  /** After so long without a word the server counts as stuck, where the folder doesn't say it. */
  runTimeoutMs: number
  longestPauseMs?: number | undefined
}

/**
 * Opens a pool for a model that a server elsewhere runs. Throws `model_unavailable` where the folder names a host that
 * models here may not name, or a key that isn't there.
 */
export function createRemoteEnginePool({
  model,
  hosts,
  keys,
  runTimeoutMs,
  longestPauseMs = 10_000,
  ...options
}: RemoteEngineOptions): EnginePool {
  const { engine, name, version } = model
  if (!isAllowedHost(engine.url, hosts)) {
    throw refused(model, 'engine.url: expected a server of this machine, or one that REMOTE_ENGINE_HOSTS names')
  }
  const key = engine.api_key_env === undefined ? null : keys[engine.api_key_env]
  if (key === undefined) {
    throw refused(model, `engine.api_key_env: the consumer has no such variable, with a name of ${remoteKeyPrefix}…`)
  }
  const open = engine.kind === 'openai' ? openOpenAiServer : openInferenceServer
  const server = open({ model, key, timeoutMs: engine.timeout_ms ?? runTimeoutMs })
  return createRemotePool({ ...options, server, name, version, maxInFlight: engine.max_in_flight, longestPauseMs })
}

function refused({ name, version }: RemoteModel, sentence: string): VisionQueueError {
  return new VisionQueueError('model_unavailable', `${name}/${version}/model.json: ${sentence}.`)
}
