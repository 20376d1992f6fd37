export { createRemoteEnginePool, type RemoteEngineOptions } from './remote-engine.ts'
