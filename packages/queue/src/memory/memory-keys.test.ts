import { describeApiKeys } from '../conformance/api-keys.ts'
import { openMemoryKeys } from './memory-keys.ts'

describeApiKeys('API keys in memory', async () => openMemoryKeys())
