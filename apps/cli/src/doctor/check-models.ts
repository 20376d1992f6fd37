import { join } from 'node:path'

import { findModel, listModels, readModelFolder, readRemoteModel, versionFolders } from '@vision-queue/models'
import { isMistyped } from '@vision-queue/process'
import { toVisionQueueError } from '@vision-queue/protocol'

import { fail, type Finding, ok, warn } from './finding.ts'

/**
 * Whether the folders of the repository can be read, version by version, and whether those are there that MODELS names.
 * Graphs are not opened: `npm run models:check` does that.
 */
export async function checkModels(repository: string, models: string): Promise<Finding[]> {
  let names: string[]
  try {
    names = await listModels(repository)
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    return [fail('Models', `MODEL_REPOSITORY: ${repository} can not be read (${why})`)]
  }
  if (names.length === 0) return [fail('Models', `there are none in ${repository}: vq models add SOURCE`)]
  const findings = await Promise.all(names.map(async (name) => await checkModel(repository, name)))
  return [...missing(names, models), ...findings.flat()]
}

function missing(there: readonly string[], models: string): Finding[] {
  const wanted = models.split(',').map((entry) => entry.trim().split('@')[0] ?? '')
  return wanted.flatMap((name) => {
    if (name === '' || name === '*' || there.includes(name)) return []
    const meant = there.find((known) => isMistyped(name, known))
    return [fail('Models', `MODELS: there is no ${name}${meant === undefined ? '' : `; is ${meant} meant?`}`)]
  })
}

async function checkModel(repository: string, name: string): Promise<Finding[]> {
  const versions = [...(await versionFolders(join(repository, name))).keys()]
  return await Promise.all(
    versions.map(async (version) => {
      const label = `${name}@${version}`
      try {
        const location = await findModel(repository, name, version)
        const { task, engine } = readRemoteModel(location) ?? { ...(await readModelFolder(location)), engine: null }
        return ok('Models', `${label}: ${task}${engine === null ? '' : `, run by a server (${engine.kind})`}`)
      } catch (error) {
        return warn('Models', `${label} can not be served: ${toVisionQueueError(error, 'model_unavailable').detail}`)
      }
    }),
  )
}
