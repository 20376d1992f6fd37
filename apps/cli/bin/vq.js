#!/usr/bin/env node
// Nothing is built: it is run from its bundle, which is made where there is none, wherever this is started from.
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

process.argv.splice(2, 0, fileURLToPath(new URL('../src/main.ts', import.meta.url)))
createRequire(import.meta.url)('@vision-queue/bundles/run')
