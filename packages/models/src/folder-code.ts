import { readdir } from 'node:fs/promises'

/** The task of a folder with code of its own, where its model.json names none. */
export const ownTask = 'own-task'

const names = ['task.ts', 'task.js', 'task.mjs']

/** The file of a version folder that is the model's task; null where there is none. */
export async function findCode(folder: string): Promise<string | null> {
  const entries = await readdir(folder).catch((): string[] => [])
  return names.find((name) => entries.includes(name)) ?? null
}
