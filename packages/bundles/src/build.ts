import { rename, writeFile } from 'node:fs/promises'

import { bundle } from './bundle.ts'

/** The program that makes a bundle, for run.cjs: `build.ts <entry> <file>`. The file is there as a whole or not at all. */
const [entry = '', path = ''] = process.argv.slice(2)
const temporary = `${path}.${process.pid}`
await writeFile(temporary, await bundle(entry, path))
await rename(temporary, path)
