#!/usr/bin/env node
// Nothing is built, so the TypeScript is read through tsx, wherever this is started from.
import { register } from 'tsx/esm/api'

register()
await import('../src/main.ts')
