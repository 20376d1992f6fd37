import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { findRedisServer, type RedisServer } from './find-redis.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vision-queue-find-'))
  await mkdir(join(folder, 'bin'))
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

/** Puts a program on the only folder of PATH. */
async function program(name: string, script: string): Promise<void> {
  await writeFile(join(folder, 'bin', name), `#!/bin/sh\n${script}\n`)
  await chmod(join(folder, 'bin', name), 0o755)
}

/** An apt-get that knows the package only after an update into folders of the caller's own, and a dpkg for it. */
async function distribution(): Promise<void> {
  await program(
    'apt-get',
    `case "$*" in
      *--config-file*update*) : >lists-are-fresh ;;
      *--simulate*) [ -e lists-are-fresh ] || exit 100
        echo 'Inst libc6 (1 [amd64])'; echo 'Inst liblzf1 (3 [amd64])'; echo 'Inst redis-server (7 [amd64])' ;;
      *download*libc6*) exit 100 ;;
      *download*liblzf1*redis-server*) : >redis-server.deb ;;
      *) exit 100 ;;
    esac`,
  )
  await program(
    'dpkg',
    `/bin/mkdir -p "$3/usr/bin" "$3/usr/lib/some-triplet"
     printf '#!/bin/sh\\n' >"$3/usr/bin/redis-server"
     /bin/chmod +x "$3/usr/bin/redis-server"`,
  )
}

async function find(said: string[] = []): Promise<RedisServer> {
  return await findRedisServer({
    cacheFolder: join(folder, 'cache/redis-package'),
    env: { PATH: join(folder, 'bin') },
    say: (line) => said.push(line),
  })
}

test('a Valkey on PATH comes before a Redis on PATH', async () => {
  await program('redis-server', '')
  expect(await find()).toEqual({ kind: 'binary', path: join(folder, 'bin/redis-server'), libraryPath: null })
  await program('valkey-server', '')
  expect(await find()).toEqual({ kind: 'binary', path: join(folder, 'bin/valkey-server'), libraryPath: null })
})

test("the distribution's package is fetched with fresh lists of our own where the system's know nothing of it", async () => {
  await distribution()
  const cache = join(folder, 'cache/redis-package')

  expect(await find()).toEqual({
    kind: 'binary',
    path: join(cache, 'usr/bin/redis-server'),
    libraryPath: [join(cache, 'usr/lib'), join(cache, 'usr/lib/some-triplet')].join(':'),
  })
  expect(await readdir(join(folder, 'cache'))).toEqual(['redis-package'])
})

test('where the first cache folder can not be written, the package is unpacked into the next, and found there again', async () => {
  await distribution()
  await writeFile(join(folder, 'file'), '')
  const options = {
    cacheFolder: join(folder, 'file/redis-package'),
    otherCacheFolders: [join(folder, 'user-cache/redis-package')],
    env: { PATH: join(folder, 'bin') },
    say: () => undefined,
  }
  const first = await findRedisServer(options)
  await program('apt-get', 'exit 100')

  expect(first).toMatchObject({ path: join(folder, 'user-cache/redis-package/usr/bin/redis-server') })
  expect(await findRedisServer(options)).toEqual(first)
})

test('an unpacked package is used again without apt', async () => {
  await distribution()
  const first = await find()
  await program('apt-get', 'exit 100')
  const said: string[] = []

  expect(await find(said)).toEqual(first)
  expect(said).toEqual([])
})

test('an unpacked package that no longer runs is replaced', async () => {
  await distribution()
  const first = await find()
  await writeFile(join(folder, 'cache/redis-package/usr/bin/redis-server'), '#!/bin/sh\nexit 127\n')

  expect(await find()).toEqual(first)
  expect(await readdir(join(folder, 'cache'))).toEqual(['redis-package'])
})

test('two that unpack at the same time both get the one whole tree', async () => {
  await distribution()
  const [one, other] = await Promise.all([find(), find()])

  expect(one).toEqual(other)
  expect(await readdir(join(folder, 'cache'))).toEqual(['redis-package'])
})

test('Docker is taken where nothing else is there and its daemon answers', async () => {
  await program('docker', '[ "$1" = version ]')
  expect((await find()).kind).toBe('docker')
})

test('without any, the error has the command for each system and says what was tried', async () => {
  await program('docker', 'exit 1')
  await program('apt-get', 'echo "E: no network" >&2; exit 100')
  await program('dpkg', '')

  const failure = await find().catch(String)
  for (const command of ['apt-get install', 'dnf install', 'apk add', 'brew install', 'wsl', 'Docker', 'REDIS_URL']) {
    expect(failure).toContain(command)
  }
  expect(failure).toContain('E: no network')
})
