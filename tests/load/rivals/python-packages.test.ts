import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, it } from 'vitest'

import { openPythonPackages } from './python-packages.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vision-queue-python-'))
})
afterEach(async () => rm(folder, { recursive: true, force: true }))

it('says that there is no Python, and touches nothing', async () => {
  const python = join(folder, 'python3')
  const packages = await openPythonPackages({ folder: join(folder, 'packages'), env: {}, python })
  expect(packages).toEqual({ reason: `there is no ${python}` })
  expect(await readdir(folder)).toEqual([])
})

it('says why where there is no apt, and leaves nothing behind', async () => {
  // Stands in for a Python that lacks the libraries, and PATH for a system without apt.
  const options = { folder: join(folder, 'packages'), env: { PATH: folder }, python: '/bin/false' }
  expect(await openPythonPackages(options)).toMatchObject({ reason: expect.stringContaining('apt-get') })
  expect(await readdir(folder)).toEqual([])
})
