import { readdir } from 'node:fs/promises'
import { extname, join } from 'node:path'

import type { PlannedRequest } from './load-plan.ts'
import { UsageError } from './options.ts'

const types: Record<string, PlannedRequest['contentType'] | undefined> = {
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.png': 'image/png',
  '.webp': 'image/webp',
}

/** The pictures of a folder, by their names' endings, in order. Throws UsageError where there are none. */
export async function listPictures(folder: string): Promise<Pick<PlannedRequest, 'file' | 'contentType'>[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw new UsageError(`--images: ${folder} can't be read: ${error instanceof Error ? error.message : String(error)}`)
  })
  const pictures = names.toSorted().flatMap((name) => {
    const contentType = types[extname(name).toLowerCase()]
    return contentType === undefined ? [] : [{ file: join(folder, name), contentType }]
  })
  if (pictures.length === 0) throw new UsageError(`--images: there is no .jpg, .png or .webp file in ${folder}.`)
  return pictures
}
